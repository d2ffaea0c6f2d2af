"""Evidence: put the free hyper-parameters where the data are most probable (type-II likelihood).

The method's phases and a tuning phase alternate, each round from where the last one ended, until a
tuning moves nothing; the method has the last word (MacKay 1992).
"""

from typing import Any

from posterium._struct import replace, static, struct
from posterium.combinators.rounds import Conclude, Round
from posterium.combinators.tuning import FixedPoint, Grid, Newton
from posterium.driver.protocol import Phase
from posterium.model import hyper
from posterium.model.data import Data, Stream
from posterium.model.model import Model

TUNINGS = {"newton": Newton, "fixed_point": FixedPoint, "grid": Grid}


@struct
class Evidence:
    """A method at the hyper-parameters of maximum evidence.

    Parameters
    ----------
    of
        A method with an evidence: `Exact()` or `Laplace()`. The model marks what is free by
        `learn(...)`.
    rounds
        How often the method and the tuning alternate at most: it ends when a tuning moves no
        hyper-parameter by more than 0.1 percent. A closed form needs one.
    steps
        Steps of a tuning at most.
    by
        ``"newton"``: damped Newton in the logarithms, for any free hyper-parameter.
        ``"fixed_point"``: MacKay's, a precision to the number of well-determined weights over
        their sum of squares, a noise variance to the squared residuals over N less that number; a
        step is one covariance, whatever the number of hyper-parameters. ``"grid"``: the best mean
        log predictive density of the validation rows, ``as_data(x, y, validation=as_data(...))``,
        which are never fitted; one hyper-parameter after another, on a grid of factors of 1.65
        from 1/3000 to 3000 times where it starts.
    """

    of: Any
    rounds: int = static(default=3)
    steps: int = static(default=100)
    by: str = static(default="newton")

    def __post_init__(self) -> None:
        if self.rounds < 1 or self.steps < 1:
            raise ValueError(
                f"rounds and steps must be at least 1; got {self.rounds} and {self.steps}."
            )
        if self.by not in TUNINGS:
            known = ", ".join(map(repr, TUNINGS))
            raise ValueError(f"by must be one of {known}; got {self.by!r}.")

    @property
    def precision(self) -> str:
        """What the method inside computes in."""
        return self.of.precision

    def phases(self, model: Model, data: Data | Stream) -> tuple[Phase, ...]:
        check(model, self.of, "Evidence")
        held_out = self.by == "grid"
        if held_out and data.validation is None:
            raise ValueError(
                "by='grid' expects rows that are held out to score by; these data have none. Give "
                "them, as_data(x, y, validation=as_data(x_held, y_held)), or leave by='newton'."
            )
        if self.by == "fixed_point" and hyper.learned(model.network):
            raise ValueError(
                "by='fixed_point' expects free hyper-parameters in prior and likelihood only; the "
                "network has some. Use by='newton'."
            )
        rounds = 1 if getattr(self.of, "closed_form", False) else self.rounds
        found = settled(self.of).phases(model, data)
        inner = tuple(Round(phase, rounds, held_out) for phase in found)
        return (*(*inner, TUNINGS[self.by](self.steps)) * rounds, *inner, Conclude(rounds))


def check(model: Model, method: Any, name: str) -> None:
    """Refuse a model with nothing to tune, and a method that is another combinator."""
    if not hyper.learned(model):
        raise ValueError(
            f"{name} expects a model with free hyper-parameters; this one has none. "
            "Mark them, for example Normal(precision=learn(1.0))."
        )
    if hasattr(method, "of"):
        inner = type(method).__name__
        raise ValueError(
            f"{name} expects a method itself, Exact() or Laplace(), whose search for weights "
            f"it can hold; got {inner}. Put it inside, as in {inner}({name}(...))."
        )
    if getattr(method, "tunes_itself", False):
        inner = type(method).__name__
        raise ValueError(
            f"{name} expects a method whose evidence can be moved along hyper-parameters; {inner} "
            f"decides on them by itself. Use {inner} as it is."
        )


def settled(method: Any) -> Any:
    """Return the method with all free hyper-parameters held while it looks for weights."""
    return replace(method, held="all") if hasattr(method, "held") else method
