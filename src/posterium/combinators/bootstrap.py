"""Bootstrap: a method on rows that are drawn again from the rows."""

from typing import Any

import jax
import jax.numpy as jnp

from posterium._struct import replace, static, struct
from posterium.combinators.perturbed import perturbed
from posterium.driver.protocol import Phase
from posterium.model.data import Data
from posterium.model.model import Model

WEIGHTS = ("multinomial", "dirichlet")


@struct
class Bootstrap:
    """A method that sees as many rows as there are, drawn with replacement.

    For members of an ensemble, `Ensemble(Bootstrap(MAP()), 20)`: their spread is that of the
    estimate over data sets like this one (Efron 1979), which is not a posterior: it knows no prior.
    A row that is drawn twice counts twice, and on average 37 % are not drawn. These are held out
    first where the method stops early, so that it costs no rows.

    Parameters
    ----------
    of
        The method, for example ``MAP(validation=0.1)``.
    weights
        ``"multinomial"``: counts of rows drawn with replacement. ``"dirichlet"``: smooth weights of
        the same mean and nearly the same variance, none of which is 0 (the Bayesian bootstrap,
        Rubin 1981).
    """

    of: Any
    weights: str = static(default="multinomial")

    def __post_init__(self) -> None:
        if self.weights not in WEIGHTS:
            raise ValueError(f"weights must be {' or '.join(map(repr, WEIGHTS))}; got "
                             f"{self.weights!r}.")  # fmt: skip

    @property
    def precision(self) -> str:
        """What the method inside computes in."""
        return self.of.precision

    def phases(self, model: Model, data: Data) -> tuple[Phase, ...]:
        return perturbed(self, Resampling(self.weights), model, data)


@struct
class Drawn:
    """How often each row was drawn.

    Parameters
    ----------
    times
        By row, (n,).
    size, rows
        Summed weight and number of the rows that were drawn.
    """

    times: Any
    size: Any
    rows: Any


@struct
class Resampling:
    """The perturbation of `Bootstrap`: weights of the rows.

    Parameters
    ----------
    weights
        As of `Bootstrap`.
    """

    weights: str = static(default="multinomial")

    def draw(self, key: jax.Array, model: Model, data: Data) -> Drawn:
        n, dtype = len(data.weight), data.weight.dtype
        if self.weights == "dirichlet":
            share = jax.random.exponential(key, (n,), dtype)
            times = n * share / jnp.sum(share)
        else:
            times = jnp.zeros(n, dtype).at[jax.random.randint(key, (n,), 0, n)].add(1)
        weight = times * data.weight
        return Drawn(times, jnp.sum(weight), jnp.sum(weight > 0).astype(dtype))

    def model(self, drawn: Drawn, model: Model) -> Model:
        return model

    def learned(self, drawn: Drawn, model: Model, learned: Model) -> Model:
        return learned

    def data(self, drawn: Drawn, data: Data, rows: Any) -> Data:
        weight = drawn.times[rows] * data.weight
        return replace(data, weight=weight, size=drawn.size, rows=drawn.rows)
