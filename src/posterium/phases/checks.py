"""What is refused before anything runs: counts that count nothing, and what samplers cannot do."""

from dataclasses import fields
from numbers import Integral
from typing import Any

import jax

from posterium.model import hyper
from posterium.model.data import Data, Stream
from posterium.model.forward import moves_state
from posterium.model.model import Model
from posterium.model.priors.normal import Flat
from posterium.numerics import trees

STARTS = ("prior", "network")
MASSES = ("diagonal", "dense", "low_rank", "start")


def check(model: Model, data: Data, start: str) -> None:
    """Refuse what these samplers cannot do.

    Raises
    ------
    ValueError
        For a stream, a free hyper-parameter without a prior, a flat prior to start from, or a
        network whose state changes in training.
    """
    if isinstance(data, Stream):
        raise ValueError(
            "This sampler expects data in memory, because every transition goes over all rows; "
            "got a stream. Use as_data(x, y), or MAP, Laplace or VI, which take streams."
        )
    if any(h.prior is None for h in hyper.learned(model)):
        raise ValueError(
            "A sampler expects a prior for every free hyper-parameter; at least one has none. Give "
            "it one, as in Gaussian(learn(1.0, prior=HalfNormal(1.0))), or fix its value."
        )
    parts = jax.tree.leaves(model.prior, is_leaf=lambda part: isinstance(part, Flat))
    if start == "prior" and any(isinstance(part, Flat) for part in parts):
        raise ValueError(
            "start='prior' needs a proper prior of all weights; got one that is Flat(), or has "
            "such a part. Use start='network'."
        )
    _check_state(model, data)


def _check_state(model: Model, data: Data) -> None:
    drawn = jax.eval_shape(model.network.init, jax.random.key(0), data.x)
    if drawn.key is not None or moves_state(model.network, data.x):
        raise ValueError(
            "A sampler expects a network without running statistics and without noise of its own; "
            "this one changes its state in training, as batch norm does, or draws a dropout mask. "
            "Use layer norm instead, as in MLP(layer_norm=True), or MAP in an Ensemble."
        )


def check_directions(model: Model, data: Data) -> None:
    """Refuse a single dimension, in which a direction cannot be turned.

    Raises
    ------
    ValueError
        For a model of one weight and no free hyper-parameter.
    """
    shapes = jax.eval_shape(model.network.init, jax.random.key(0), data.x).params
    if trees.count(shapes) + len(hyper.free(model)) < 2:
        raise ValueError(
            "A microcanonical sampler expects at least two weights or free hyper-parameters; got "
            "one. Use NUTS() or Exact()."
        )


def check_settings(sampler: Any, masses: tuple[str, ...] = MASSES) -> None:
    """Refuse settings of a sampler that make no sense; its fields of type int are counts."""
    if sampler.start not in STARTS:
        raise ValueError(f"start must be 'prior' or 'network'; got {sampler.start!r}.")
    if sampler.mass not in masses:
        raise ValueError(
            f"mass must be one of {', '.join(map(repr, masses))}; got {sampler.mass!r}."
        )
    counts = [field.name for field in fields(sampler) if field.type is int]
    check_counts(1, **{name: getattr(sampler, name) for name in counts})


def check_counts(least: int, /, **counts: Any) -> None:
    """Refuse what is no whole number, or fewer than the least, where one counts something."""
    for name, count in counts.items():
        if not isinstance(count, Integral) or isinstance(count, bool):
            raise ValueError(f"{name} must be a whole number; got {count!r}.")
        if count < least:
            raise ValueError(f"{name} must be at least {least}; got {count}.")


def number(name: str, given: Any) -> float:
    """Return a setting as a number, or refuse it."""
    try:
        return float(given)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be a number; got {given!r}.") from None
