"""Tempered: a method on the posterior at another temperature, and the curve over temperatures."""

from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import numpy as np

from posterium._struct import bare, replace, static, struct
from posterium.combinators.evidence import Evidence
from posterium.combinators.online import OnlineEvidence
from posterium.combinators.randomised_prior import RandomisedPrior
from posterium.driver.fit import fit
from posterium.driver.protocol import Around, Info, Phase
from posterium.methods.laplace import Laplace
from posterium.methods.mc_dropout import MCDropout
from posterium.methods.pbp import PBP
from posterium.model import hyper
from posterium.model.data import Batch, Data, Stream
from posterium.model.model import Model
from posterium.model.tempered import refuse_correlated, tempered
from posterium.posterior.fit import Verdict
from posterium.posterior.predict import predict

TEMPERATURES = (0.03, 0.1, 0.3, 1.0, 3.0)
"""Where a curve is drawn when not told."""
WHOLE = (MCDropout, RandomisedPrior)
"""Combinators that look at prior and likelihood, and are tempered with all that is inside."""


@struct
class Tempered:
    """A method on the tempered posterior: the log joint, prior and likelihood alike, over T.

    Below 1 the posterior is *cold*, sharper than Bayes' rule makes it. What is fitted is tempered;
    predictions are made with the likelihood itself. At any other temperature than 1 there is no
    evidence: methods that tune by it are refused, and of the others it is left out.

    Parameters
    ----------
    of
        The method, for example `NUTS()`.
    temperature
        T, above 0. At 1 the method is as it was.
    """

    of: Any
    temperature: Any = 1.0

    def __post_init__(self) -> None:
        if isinstance(self.temperature, float | int) and not 0 < self.temperature < np.inf:
            raise ValueError(f"temperature must be finite and above 0; got {self.temperature}.")

    @property
    def precision(self) -> str:
        """What the method inside computes in."""
        return self.of.precision

    def phases(self, model: Model, data: Data | Stream) -> tuple[Phase, ...]:
        if self.temperature == 1:
            return self.of.phases(model, data)
        _refuse(self.of)
        if hasattr(self.of, "of") and type(self.of) not in WHOLE:
            inside = Tempered(self.of.of, self.temperature)
            return replace(self.of, of=inside).phases(model, data)
        refuse_correlated(model)
        inner = self.of.phases(tempered(model, self.temperature), data)
        return *(Heated(phase, self.temperature) for phase in inner), WithoutEvidence()


def _refuse(method: Any) -> None:
    """Refuse a method that tunes by the evidence, or whose curvature has no temperature.

    A method inside is looked at when its turn comes, but for those of `WHOLE`.
    """
    if isinstance(method, WHOLE):
        _refuse(method.of)
    if isinstance(method, Evidence | OnlineEvidence | PBP):
        name = type(method).__name__
        raise ValueError(
            f"Tempered expects a method without an evidence to tune by: at a temperature other "
            f"than 1 there is none; got {name}. Fix the hyper-parameters, and temper "
            f"{'the method inside' if hasattr(method, 'of') else 'another method'}."
        )
    if isinstance(method, Laplace) and method.curvature == "empirical":
        raise ValueError(
            "Tempered expects a curvature that scales as the log joint does; the empirical one is "
            "of squared slopes. Use Laplace(curvature='ggn')."
        )


@struct
class Heated(Around):
    """One phase that sees the tempered model.

    Parameters
    ----------
    of
        The phase.
    temperature
        T.
    """

    of: Phase
    temperature: Any

    def _seen(self, model: Model) -> Model:
        return tempered(model, self.temperature)

    def init(self, key: jax.Array, model: Model, data: Data, start: Any) -> Any:
        return self.of.init(key, self._seen(model), data, start)

    def step(self, key: jax.Array, state: Any, model: Model, batch: Batch) -> tuple[Any, Info]:
        return self.of.step(key, state, self._seen(model), batch)

    def end(self, state: Any, kept: Any, model: Model, data: Data) -> tuple[Any, Model]:
        ended, learned = self.of.end(state, kept, self._seen(model), data)
        return ended, hyper.fill(model, hyper.free(learned))


@struct
class WithoutEvidence(Phase):
    """Nothing to do but to leave out the curvature that an evidence would be taken from."""

    steps: ClassVar[int] = 0
    batch_size: ClassVar[None] = None
    name: ClassVar[str] = "tempered"

    def init(self, key: jax.Array, model: Model, data: Data, start: Any) -> Any:
        return start

    def step(self, key: jax.Array, state: Any, model: Model, batch: Batch) -> tuple[Any, Info]:
        return state, {}

    def end(self, state: Any, kept: Any, model: Model, data: Data) -> tuple[Any, Model]:
        return bare(state), model


@struct
class TemperatureCurve:
    """What a method predicts at several temperatures.

    Parameters
    ----------
    temperatures
        T, (t,).
    log_density, error
        Mean log predictive density of the rows scored, in nats a row, and its standard error, (t,).
    difference, difference_error
        The same less that at temperature 1, row by row, (t,).
    verdicts
        One a temperature.
    """

    temperatures: Any
    log_density: Any
    error: Any
    difference: Any
    difference_error: Any
    verdicts: tuple[Verdict, ...] = static(default=())


def cold_posterior_curve(
    key: jax.Array,
    model: Model,
    data: Data | Stream,
    method: Any,
    x: Any,
    y: Any,
    *,
    temperatures: Sequence[float] = TEMPERATURES,
) -> TemperatureCurve:
    """Return how well a method predicts other rows at several temperatures.

    Better scores below T = 1, the cold posterior effect (Wenzel et al. 2020), speak against the
    model: against its prior, its likelihood, or augmented rows counted as new ones.

    Parameters
    ----------
    key
        Typed random key; all temperatures share it.
    model, data, method
        As of `fit`.
    x, y
        Rows to score, (n, ...) and (n,) or (n, k) in the form of the data.
    temperatures
        Above 0; 1 is added where it is missing.

    Raises
    ------
    ValueError
        Where `Tempered` refuses the method or a temperature.
    """
    each = np.array(sorted({*map(float, temperatures), 1.0}))
    fits = [fit(key, model, data, Tempered(method, float(t))) for t in each]
    rows = np.stack([predict(jax.random.fold_in(key, 1), one, x).log_prob(y) for one in fits])
    less = rows - rows[each == 1]
    verdicts = tuple(one.verdict for one in fits)
    return TemperatureCurve(each, *_scores(rows), *_scores(less), verdicts)


def _scores(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean over rows (t, n), and its standard error, each (t,)."""
    return rows.mean(axis=1), rows.std(axis=1, ddof=1) / np.sqrt(rows.shape[1])
