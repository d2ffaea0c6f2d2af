r"""Variational inference: the member of a family of distributions that has the largest bound.

.. math:: \mathrm{ELBO}(q) = E_q[\log p(y \mid x, w)] - KL(q, p) \le \log p(y \mid x)

The expectation is estimated by reparameterised draws (Kingma and Welling 2014; Kucukelbir et al.
2017; for networks Blundell et al. 2015).
"""

from numbers import Real
from typing import Any, ClassVar

import numpy as np

from posterium._struct import static, struct
from posterium.driver.protocol import Phase
from posterium.model.data import Data, Stream
from posterium.model.model import Model
from posterium.model.priors.gaussian import correlated
from posterium.model.subset import blank, matching
from posterium.numerics import trees
from posterium.numerics.families.base import Family
from posterium.numerics.families.flow import Flow
from posterium.numerics.families.gaussian import FullRank, MeanField
from posterium.numerics.families.low_rank import LowRank
from posterium.numerics.families.matrix_normal import MatrixNormal
from posterium.numerics.families.radial import Radial
from posterium.phases.ascent import Ascent, KLSchedule
from posterium.phases.assess import assessment, check_assess, draws_worth
from posterium.phases.bound import ESTIMATORS, ROWWISE, Bound, refuse_rows_together
from posterium.phases.checks import check_counts, number
from posterium.phases.descent import Optimiser, check_settings
from posterium.phases.kl import obstacle
from posterium.phases.objectives import ELBO, BlackBoxAlpha, Renyi

FAMILIES: dict[str, Family] = {
    "mean_field": MeanField(),
    "full": FullRank(),
    "low_rank": LowRank(),
    "matrix_normal": MatrixNormal(),
    "radial": Radial(),
    "flow": Flow(),
}
KL = ("auto", "closed", "sampled")


@struct
class VI:
    """A distribution over the weights, fitted by stochastic gradients of a bound on the evidence.

    Free hyper-parameters (a learned noise scale, a learned prior precision) are optimised in the
    bound with the weights. A mean-field Gaussian understates the spread of correlated weights.
    Means start where `fit(..., start=...)` says: weights, or the mode of a posterior (as of `MAP`).

    At its end the fit is assessed by draws of its own: ``info["assess"]`` holds the bound and its
    terms with their Monte Carlo errors, and Pareto k-hat, which enters the verdict above 0.7.

    Parameters
    ----------
    family
        ``"mean_field"`` (independent weights), ``"full"`` (any covariance, p^2 numbers), or a
        family's record.
    steps
        Steps.
    learning_rate
        Highest learning rate, on the bound per row.
    optimiser
        ``"adam"``, ``"sgd"``, ``"momentum"`` or ``"rmsprop"``.
    schedule
        ``"constant"``, or ``"cosine"`` or ``"linear"`` decay to 0.
    batch_size
        Rows a step; None for all. A stream keeps its own.
    samples
        Draws of the weights a step.
    init_scale
        Standard deviation of every weight at the start.
    max_scale
        Largest standard deviation of a weight, for mean-field; None for no limit.
    means
        Where means start without a `start`: ``"network"`` (its own initial weights), ``"zero"``,
        or a number u for uniform between -u and u.
    estimator
        ``"shared"``: each draw of the weights is for all rows of a step. ``"local"`` and
        ``"flipout"``: each row has draws of its own, which lowers the variance of slopes; for
        mean-field, and networks that treat rows alone. ``"sigma_points"``: the 2 p fixed points
        mean +- sqrt(p) S^(1/2) e_i in place of draws, exact where the log likelihood is quadratic
        in the weights; for Gaussian families.
    sticking_the_landing
        Leave out the slope of log q by its own coordinates, whose mean is 0: slopes lose their
        noise as q nears the posterior. Takes the sampled KL.
    objective
        ``"elbo"``, `Renyi(alpha)` or `BlackBoxAlpha(alpha)`.
    point
        Globs over the paths of weights that get a point estimate, such as ``"*/bias"``; their
        prior counts.
    kl
        ``"closed"`` (Gaussian and radial families under Gaussian and flat priors), ``"sampled"``
        (log q - log p at draws) or ``"auto"``: closed where that takes no more than a draw.
    kl_schedule
        `KLSchedule(...)`, or None for weight 1 throughout.
    average
        Share of the steps, at the end, whose iterates are averaged; 0 takes the last.
    assess
        Draws that assess the fit; 0 for none. None takes 1,000, or fewer, at least 16, where they
        would cost more than a tenth of the passes that the steps make through the network.
    clip
        Largest norm of a gradient; None for no limit.
    betas
        Decay rates of Adam's two moments.
    """

    family: str | Family = static(default="mean_field")
    steps: int = static(default=5000)
    learning_rate: Any = 1e-2
    optimiser: str = static(default="adam")
    schedule: str = static(default="cosine")
    batch_size: int | None = static(default=None)
    samples: int = static(default=1)
    init_scale: Any = 0.01
    max_scale: Any = None
    means: str | float = static(default="network")
    estimator: str = static(default="shared")
    sticking_the_landing: bool = static(default=False)
    objective: str | Renyi | BlackBoxAlpha = static(default="elbo")
    point: str | tuple[str, ...] = static(default=())
    kl: str = static(default="auto")
    kl_schedule: KLSchedule | None = None
    average: float = static(default=0.0)
    assess: int | None = static(default=None)
    clip: Any = None
    betas: tuple[Any, Any] = (0.9, 0.999)

    precision: ClassVar[str] = "float32"

    def __post_init__(self) -> None:
        check_settings(self.steps, self.batch_size)
        check_counts(1, samples=self.samples)
        check_assess(self.assess)
        if isinstance(self.point, list):
            object.__setattr__(self, "point", tuple(self.point))
        for name, allowed in (("estimator", ESTIMATORS), ("kl", KL)):
            if (came := getattr(self, name)) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}; got {came!r}.")
        if self.means not in ("network", "zero") and not isinstance(self.means, Real):
            raise ValueError(f"means must be 'network', 'zero' or a number; got {self.means!r}.")
        if not 0 <= self.average <= 1:
            raise ValueError(f"average must be a share from 0 to 1; got {self.average}.")

    def phases(self, model: Model, data: Data | Stream) -> tuple[Phase, ...]:
        family, draws = self._family(model), self._draws(data)
        self._check_scale(family)
        if self.estimator in ROWWISE:
            refuse_rows_together(model.network, _inputs(data))
        ascent = Ascent(
            family,
            self._bound(family, model),
            self.descent().checked(),
            self.steps,
            self.batch_size,
            self._points(model, data),
            self.means,
            self.init_scale,
            None if self.kl_schedule is None else self.kl_schedule.checked(),
            self.average,
            last=not draws,
        )
        return (ascent, assessment(draws, data)) if draws else (ascent,)

    def descent(self) -> Optimiser:
        """Return the optimiser that these settings name."""
        return Optimiser(self.optimiser, self.learning_rate, self.schedule, self.clip, self.betas)

    def _family(self, model: Model) -> Family:
        if isinstance(self.family, Family):
            found = self.family
        elif self.family in FAMILIES:
            found = FAMILIES[self.family]
        else:
            raise ValueError(
                f"family must be one of {', '.join(FAMILIES)}, or a family's record; got "
                f"{self.family!r}."
            )
        if isinstance(found, MatrixNormal) and not found.layout:
            found = MatrixNormal(getattr(model.network, "layout", ()))
        if self.max_scale is None:
            return found
        if found != MeanField():
            raise ValueError(
                "max_scale is for family='mean_field'; leave it out with another family."
            )
        return MeanField(self.max_scale)

    def _bound(self, family: Family, model: Model) -> Bound:
        elbo, stopped = self.objective == "elbo", self.sticking_the_landing
        why_not = obstacle(family, model.prior, points=bool(self.point))
        if stopped or isinstance(self.objective, Renyi):
            why_not = "sticking_the_landing=True" if stopped else "Renyi"
        if self.kl == "closed" and why_not:
            raise ValueError(
                "kl='closed' expects a Gaussian or radial family, a Gaussian or flat prior over "
                f"the weights, and a KL that stands by itself; got {why_not}. Use kl='sampled'."
            )
        costly = correlated(model.prior) and not isinstance(family, MeanField)
        closed = self.kl == "closed" or (self.kl == "auto" and not why_not and not costly)
        objective = ELBO() if elbo else self.objective
        return Bound(objective, self.estimator, self.samples, closed, stopped).checked(family)

    def _check_scale(self, family: Family) -> None:
        cap = getattr(family, "cap", None)
        if not 0 < number("init_scale", self.init_scale) < (np.inf if cap is None else cap):
            raise ValueError(
                "init_scale must be positive and below max_scale, the cap of MeanField; got "
                f"{self.init_scale} and {cap}."
            )

    def _points(self, model: Model, data: Data | Stream) -> tuple[str, ...]:
        """Return the paths of the weights with a point estimate."""
        if not self.point:
            return ()
        x = _inputs(data)
        weights = blank(model.network, x)
        found = matching(model.network, weights, x, self.point)
        if len(found) == len(trees.flatten(weights.params)):
            raise ValueError(
                f"point={self.point!r} leaves no weight that is random. Name fewer, or use MAP()."
            )
        return found

    def _draws(self, data: Data | Stream) -> int:
        """Return how many draws assess the fit."""
        if self.assess is not None:
            return self.assess
        return draws_worth(self.steps, self.samples, self.batch_size, data)


def _inputs(data: Data | Stream) -> Any:
    return next(iter(data.batches()))[0] if isinstance(data, Stream) else data.x
