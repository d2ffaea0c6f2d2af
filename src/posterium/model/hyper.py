"""Hyper-parameters that are learned: leaves of the model marked as free.

`learn(1.0)` in place of a number marks a positive hyper-parameter as free, and with a ceiling one
between two bounds. Evidence takes its
gradient, gradient methods optimise it, samplers sample it when it has a prior.
"""

from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import expit, logit

from posterium._struct import brief, replace, struct


class ScalePrior(Protocol):
    """A density on the positive half line."""

    def log_prob(self, value: jax.Array) -> jax.Array:
        """Return the log density in nats."""
        ...


@struct
class Learned:
    """A free hyper-parameter: floor + exp(raw), or under a ceiling a logistic function of raw.

    Parameters
    ----------
    raw
        Unconstrained coordinate, where optimisers and samplers move.
    floor
        Lower bound of the value, in its own unit.
    prior
        Density of the value, or None for none. Its change of variables is accounted for.
    ceiling
        Upper bound of the value, or None for none.
    """

    raw: Any
    floor: Any = 0.0
    prior: Any = None
    ceiling: Any = None

    @property
    def value(self) -> jax.Array:
        """The hyper-parameter in its own unit; NumPy in, NumPy out, in the precision it has."""
        on_host = isinstance(self.raw, np.ndarray | np.generic)
        if self.ceiling is None:
            return self.floor + (np if on_host else jnp).exp(self.raw)
        share = (expit if on_host else jax.nn.sigmoid)(self.raw)
        return self.floor + (self.ceiling - self.floor) * share

    def __repr__(self) -> str:
        more = {"floor": self.floor, "ceiling": self.ceiling, "prior": self.prior}
        told = [f"{name}={brief(v)}" for name, v in more.items() if brief(v) not in ("0", "None")]
        shown = self.value if isinstance(self.raw, np.ndarray | np.generic) else self.raw
        return f"learn({', '.join([brief(shown), *told])})"

    def log_prior(self) -> jax.Array:
        """Return the log density of `raw` in nats, the log-Jacobian included."""
        if self.prior is None:
            return jnp.zeros(())
        log_slope = self.raw
        if self.ceiling is not None:
            both = jax.nn.log_sigmoid(self.raw) + jax.nn.log_sigmoid(-self.raw)
            log_slope = jnp.log(self.ceiling - self.floor) + both
        return jnp.sum(self.prior.log_prob(self.value) + log_slope)


def learn(
    value: Any, *, floor: Any = 0.0, ceiling: Any = None, prior: ScalePrior | None = None
) -> Learned:
    """Mark a positive hyper-parameter as free, starting from a value between its bounds.

    Examples
    --------
    >>> from posterium.model.hyper import learn
    >>> float(learn(2.0).value)
    2.0
    """
    start = np.asarray(value, dtype=float)
    if not (
        np.all(np.isfinite(start)) and np.all(start > floor) and np.all(np.asarray(floor) >= 0)
    ):
        raise ValueError(
            f"A learned value must be finite and above its floor; got {value} with floor {floor}. "
            "Give a positive start, or a lower floor."
        )
    if ceiling is None:
        return Learned(np.log(start - floor), floor, prior)
    if not np.all(start < ceiling):
        raise ValueError(
            f"A learned value must be below its ceiling; got {value} with ceiling {ceiling}. "
            "Give a lower start."
        )
    return Learned(logit((start - floor) / (np.asarray(ceiling) - floor)), floor, prior, ceiling)


def value(hyper: Any) -> Any:
    """Return the value of a hyper-parameter, free or fixed."""
    return hyper.value if isinstance(hyper, Learned) else hyper


def is_learned(node: Any) -> bool:
    """Say whether a node of a model is a free hyper-parameter."""
    return isinstance(node, Learned)


def learned(tree: Any) -> tuple[Learned, ...]:
    """Return the free hyper-parameters of a model, in tree order."""
    leaves = jax.tree.leaves(tree, is_leaf=is_learned)
    return tuple(leaf for leaf in leaves if is_learned(leaf))


def free(tree: Any) -> tuple[jax.Array, ...]:
    """Return the unconstrained coordinates of all free hyper-parameters."""
    return tuple(h.raw for h in learned(tree))


def fill(tree: Any, raws: tuple[jax.Array, ...]) -> Any:
    """Return the model with the unconstrained coordinates of its free leaves replaced."""
    remaining = iter(raws)

    def put(leaf: Any) -> Any:
        return replace(leaf, raw=next(remaining)) if is_learned(leaf) else leaf

    return jax.tree.map(put, tree, is_leaf=is_learned)


def fix(tree: Any) -> Any:
    """Return the model with every free hyper-parameter fixed at its value."""
    return jax.tree.map(value, tree, is_leaf=is_learned)


def log_prior(tree: Any) -> jax.Array:
    """Return the summed log density of all free hyper-parameters in nats."""
    return sum((h.log_prior() for h in learned(tree)), jnp.zeros(()))
