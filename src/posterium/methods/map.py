r"""Maximum a posteriori and maximum likelihood: one best set of weights.

.. math:: \hat w = \arg\max_w \log p(w) + \sum_i \log p(y_i \mid f(x_i; w))
"""

from typing import Any, ClassVar

from posterium._struct import static, struct
from posterium.driver.protocol import Phase
from posterium.model import hyper
from posterium.model.data import Data, Stream
from posterium.model.model import Model
from posterium.model.network import MLP
from posterium.phases.descent import Descent, Optimiser, check_settings
from posterium.phases.polish import Polish
from posterium.phases.unbounded import refuse_unbounded


@struct
class MAP:
    """The mode of the posterior, by stochastic gradients and, if asked, a polish.

    Free hyper-parameters of the likelihood (a learned noise scale) are optimised with the
    weights. A free prior precision or scale is refused where nothing bounds the joint density as
    the prior narrows to a point. Restarts are an ensemble: `Ensemble(MAP(), 5)`.

    Parameters
    ----------
    steps
        Steps at most.
    learning_rate
        Highest learning rate, on the objective per row.
    optimiser
        ``"adam"``, ``"sgd"``, ``"momentum"`` or ``"rmsprop"``.
    schedule
        ``"constant"``, or ``"cosine"`` or ``"linear"`` decay to 0.
    warmup
        Share of the steps over which the learning rate rises from 0.
    batch_size
        Rows a step; None for all.
    clip
        Largest norm of a gradient; None for no limit.
    validation
        Share of the rows held out for early stopping; 0 for none.
    patience
        Epochs without a better held-out score after which to stop; None never stops. The weights
        with the best score are kept either way.
    polish
        ``"newton"`` or ``"lbfgs"`` ends at the mode to machine accuracy (give
        ``precision="float64"``); None leaves the weights where the gradients took them.
    betas
        Decay rates of Adam's two moments.
    use_prior
        False leaves the prior out; `MLE(...)` reads better.
    """

    steps: int = static(default=2000)
    learning_rate: Any = 1e-2
    optimiser: str = static(default="adam")
    schedule: str = static(default="cosine")
    warmup: float = static(default=0.0)
    batch_size: int | None = static(default=None)
    clip: Any = None
    validation: float = static(default=0.0)
    patience: Any = 50
    polish: str | None = static(default=None)
    betas: tuple[Any, Any] = (0.9, 0.999)
    use_prior: bool = static(default=True)

    precision: ClassVar[str] = "float32"

    def __post_init__(self) -> None:
        check_settings(self.steps, self.batch_size, self.validation)
        if self.polish is not None and self.validation:
            raise ValueError(
                "Expected validation=0 with a polish: it ends at the mode of all rows, where early "
                "stopping would not. Leave one of them out."
            )

    def _optimiser(self) -> Optimiser:
        return Optimiser(
            self.optimiser, self.learning_rate, self.schedule, self.clip, self.betas, self.warmup
        )

    def phases(self, model: Model, data: Data | Stream) -> tuple[Phase, ...]:
        _refuse_rates(model)
        if self.use_prior:
            refuse_unbounded(model, "MAP")
        if isinstance(data, Stream):
            self._refuse_stream(data)
        descent = Descent(
            self._optimiser().checked(),
            self.steps,
            self.batch_size,
            self.use_prior,
            self.validation,
            self.patience,
        )
        if self.polish is None:
            return (descent,)
        return descent, Polish(self.polish, use_prior=self.use_prior)

    def _refuse_stream(self, data: Stream) -> None:
        if self.polish is not None or (self.validation and data.validation is None):
            raise ValueError(
                "A stream expects MAP without a polish, which needs all rows at every step, and "
                "without a share of rows held out. Leave `polish` out, give the stream its own "
                "`validation`, or hold the data in memory."
            )


def MLE(**settings: Any) -> MAP:
    """Return the method that maximises the likelihood: `MAP` with the prior left out."""
    return MAP(use_prior=False, **settings)


def _refuse_rates(model: Model) -> None:
    if isinstance(model.network, MLP) and hyper.learned(model.network):
        raise ValueError(
            "MAP expects fixed dropout rates: a learned one would only fall, to 0. Fix them at "
            "numbers, or use MCDropout(), whose bound holds them up."
        )
