r"""Monte Carlo dropout: a network trained under random masks, and predicted under them too.

.. math:: p(y \mid x) \approx \frac1S \sum_s p(y \mid f(x; z_s \circ \hat w)), \qquad
   \hat w = \arg\max_w \log p(w) + \sum_i E_z \log p(y_i \mid f(x_i; z \circ w))

with masks z that drop units at fixed rates (Gal and Ghahramani 2016), or at rates that are learned
with the weights by the bound of the same paper (Gal, Hron and Kendall 2017: concrete dropout).
"""

from typing import Any, ClassVar

import jax
import numpy as np

from posterium._struct import replace, static, struct
from posterium.driver.protocol import Phase
from posterium.model import hyper
from posterium.model.data import Data, Stream
from posterium.model.model import Model
from posterium.model.network import MLP
from posterium.model.priors.normal import Normal
from posterium.phases.descent import Descent
from posterium.phases.hold import fixed
from posterium.phases.masked import Masked
from posterium.phases.search import Search

MASKS = ("draw", "row")


@struct
class MCDropout:
    """A network with dropout, whose masks stay on in predictions: what they change is uncertainty.

    For `MLP(dropout=...)` and any network of Flax, Equinox or PyTorch with dropout layers. The
    spread is that of the rate, which is a choice: at a fixed one it does not shrink as rows come
    in. A learned one, ``MLP(dropout=learn(0.1, ceiling=1.0))``, shrinks with them.

    Parameters
    ----------
    of
        The training, such as ``MAP(steps=..., batch_size=...)``; it ends where gradients take it.
    masks
        ``"draw"``: all rows of a draw share a mask, so that a draw is a function. ``"row"``: each
        row has a mask of its own, made from the draw and the row; a mean or an interval of one row
        is the same, and what holds over several rows, as a covariance or a joint sample, is not
        there.

    Notes
    -----
    In training each row has masks of its own at every step. Held-out rows are scored without any.
    """

    of: Any = Search()
    masks: str = static(default="draw")

    precision: ClassVar[str] = "float32"

    def __post_init__(self) -> None:
        if self.masks not in MASKS:
            raise ValueError(f"masks must be 'draw' or 'row'; got {self.masks!r}.")

    def phases(self, model: Model, data: Data | Stream) -> tuple[Phase, ...]:
        if hyper.learned(model.network):
            _refuse_unbounded(model)
        x = next(iter(data.batches()))[0] if isinstance(data, Stream) else data.x
        if not is_random(model.network, x):
            raise ValueError(
                "MCDropout expects a network with dropout; this one draws nothing at random, so "
                "that its uncertainty would be exactly 0. Give it some, as in MLP(dropout=0.1), or "
                "use Ensemble(MAP(), 5)."
            )
        phases = self.of.phases(fixed(model, ("network",)), data)
        if [type(phase) for phase in phases] != [Descent]:
            raise ValueError(
                "MCDropout expects a training of one network by gradients, such as MAP() without "
                f"a polish; got {self.of}. Several are Ensemble(MCDropout(), 5)."
            )
        if hyper.learned(model.prior):
            raise ValueError(
                "MCDropout expects a prior without free hyper-parameters: as it narrows, its "
                "density grows without bound. Fix them at numbers, or use VI()."
            )
        return (Masked(phases[0], self.masks == "row"),)


def _refuse_unbounded(model: Model) -> None:
    """Refuse learned rates where what holds them up, the KL, is not known."""
    if not isinstance(model.network, MLP):
        raise ValueError(
            "MCDropout learns the rates of an MLP alone; got free hyper-parameters of "
            f"{type(model.network).__name__}. Fix them at numbers."
        )
    if not isinstance(model.prior, Normal):
        raise ValueError(
            "Learned rates expect a Normal prior, under which their bound is in closed form; got "
            f"{type(model.prior).__name__}. Use Normal(), or fix the rates."
        )


def is_random(network: Any, x: Any) -> bool:
    """Say whether the outputs of a network depend on the key of its weights."""
    if isinstance(network, MLP):
        return any(rate is not None and np.any(np.asarray(rate) > 0) for rate in network.rates())

    def outputs(key: jax.Array, x: jax.Array) -> jax.Array:
        return network.apply(replace(network.init(jax.random.key(0), x), key=key), x)[0]

    jaxpr = jax.make_jaxpr(outputs)(jax.random.key(0), jax.ShapeDtypeStruct(x.shape, x.dtype)).jaxpr
    reached = {id(value) for value in jaxpr.outvars}
    for equation in reversed(jaxpr.eqns):
        if reached & {id(value) for value in equation.outvars}:
            reached |= {id(value) for value in equation.invars}
    return id(jaxpr.invars[0]) in reached
