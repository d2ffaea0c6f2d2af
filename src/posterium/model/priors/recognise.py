"""Priors by what is given for one: an earlier fit, or any distribution over one weight."""

from typing import Any

import jax

from posterium._struct import brief, is_record, static, struct
from posterium.model.priors.base import Independent, Layout
from posterium.model.weights import Weights


@struct
class Opaque:
    """An object that is no pytree, held as a part of the structure.

    Parameters
    ----------
    held
        The object; two are the same prior when they are equal.
    """

    held: Any = static()

    @property
    def wrapper(self) -> str:
        """What a file calls it."""
        return type(self.held).__name__

    def log_prob(self, w: jax.Array) -> jax.Array:
        return self.held.log_prob(w)

    def sample(self, key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        return self.held.sample(key, shape)


@struct
class EachWeight(Independent):
    """Any distribution over the real line as that of each weight, independently.

    A model makes one by itself where a prior is given that has `log_prob` and `sample` but is not
    over trees, such as ``numpyro.distributions.StudentT(4)``.

    Parameters
    ----------
    prior
        An object with `log_prob(w)`, in nats by entries, and `sample(key, shape)`.
    scaling, layout
        As of `Normal`; by default the distribution is taken as it stands.
    smooth
        Whether the density has a curvature for a Gaussian at the mode to take. None looks whether
        automatic differentiation finds one, which it does not for a Laplace density.
    """

    prior: Any
    scaling: str = static(default="none")
    layout: Layout = static(default=())
    smooth: bool | None = static(default=None)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not is_record(self.prior) and jax.tree_util.all_leaves([self.prior]):
            object.__setattr__(self, "prior", Opaque(self.prior))
        if self.smooth is None:
            object.__setattr__(self, "smooth", self._is_curved())

    def __repr__(self) -> str:
        held = getattr(self.prior, "held", self.prior)
        numbers = ", ".join(map(brief, jax.tree.leaves(self.prior)))
        scaling = "" if self.scaling == "none" else f", {self.scaling!r}"
        return f"EachWeight({type(held).__name__}({numbers}){scaling})"

    def _is_curved(self) -> bool:
        curvature = jax.grad(jax.grad(self.prior.log_prob))
        return any(curvature(at) != 0 for at in (-1.3, 0.7))

    def log_density(self, w: jax.Array) -> jax.Array:
        return self.prior.log_prob(w)

    def draw(self, key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
        return self.prior.sample(key, shape).astype(dtype)


def as_prior(thing: Any) -> Any:
    """Return a prior as such: that of a fit or of a distribution is made, a prior stays.

    Raises
    ------
    ValueError
        For a fit whose posterior has no density, and for a distribution over anything but the
        real line.
    """
    if hasattr(thing, "posterior"):
        return _of_fit(thing)
    known = is_record(thing) or hasattr(thing, "terms")
    if known or not (hasattr(thing, "log_prob") and hasattr(thing, "sample")):
        return thing
    _refuse_support(thing)
    return EachWeight(thing)


def _of_fit(fit: Any) -> Any:
    if not hasattr(fit.posterior, "as_prior"):
        raise ValueError(
            "A prior expects a fit with a Gaussian posterior, as of Laplace, VI or Exact; that of "
            f"{fit.method or 'this one'} is {type(fit.posterior).__name__}. Say how far weights "
            "may be from its own, as in Centred(Normal(100.0), at=fit), or fit it by Laplace()."
        )
    return fit.posterior.as_prior()


def _refuse_support(distribution: Any) -> None:
    """Refuse a distribution over vectors, or over a part of the line, where it says so."""
    name = type(distribution).__name__
    batch, event = (getattr(distribution, f"{axes}_shape", ()) for axes in ("batch", "event"))
    if batch or event:
        raise ValueError(
            f"A prior expects a distribution over one number; {name} has batch_shape {batch} and "
            f"event_shape {event}. Give one for the weights of all, or one a path by ByPath."
        )
    support = getattr(distribution, "support", None)
    if callable(support) and not all(bool(support(at)) for at in (-1e6, 0.0, 1e6)):
        raise ValueError(
            f"A prior over weights expects a distribution over the whole real line; {name} is not. "
            "Distributions over positive numbers are for scales, as in learn(1.0, prior=Gamma())."
        )


def weights_of(thing: Any) -> Any:
    """Return the parameters in `Weights` or at the mode of a fit; a tree of parameters stays."""
    if hasattr(thing, "posterior"):
        if not hasattr(thing.posterior, "mode"):
            raise ValueError(
                "Expected a fit with one set of weights; this one has several members. Choose one, "
                "as in at=fit.posterior.member(0)[0].mode()."
            )
        thing = thing.posterior.mode()
    return thing.params if isinstance(thing, Weights) else thing
