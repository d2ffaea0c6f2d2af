"""Joint densities that have no mode: what descents refuse before they begin."""

from posterium._struct import brief
from posterium.model import hyper
from posterium.model.model import Model
from posterium.model.priors.base import INFINITY, ZERO, narrowing

BOUNDS = {ZERO: "InverseGamma, LogNormal or a floor", INFINITY: "Gamma, HalfNormal or LogNormal"}
"""What keeps a hyper-parameter from either end."""


def refuse_unbounded(model: Model, method: str) -> None:
    """Refuse free hyper-parameters of the prior that no prior of their own holds back.

    As a prior narrows to a point, its density there grows like a power, of as high an order as
    there are weights. A prior of the hyper-parameter that falls faster than any power bounds it.
    """
    if any(h.prior is None for h in hyper.learned(model.prior)):
        raise ValueError(
            f"{method} expects a fixed prior precision, or a free one with a prior of its own; the "
            "joint density grows without bound in a free one. Use Evidence(Laplace()), "
            "Evidence(Exact()) or VI(), or fix the precision."
        )
    for prior, name, end, free in narrowing(model.prior):
        if end not in getattr(free.prior, "vanishes", (end,)):
            raise ValueError(
                f"{method} expects a prior of a free {name} that bounds the joint density, however "
                f"many weights there are; that of {type(prior).__name__} is {brief(free.prior)}, "
                f"under which the density of weights in the middle grows as the {name} goes to "
                f"{end}. Use {BOUNDS[end]}, or VI() or NUTS(), which need no mode."
            )
