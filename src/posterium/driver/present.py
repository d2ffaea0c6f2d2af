"""The posterior of a fit that is still running."""

from typing import Any

import jax
import numpy as np

from posterium._struct import replace
from posterium.posterior.posterior import Mixture, Posterior, Samples


def posterior_of(found: Any) -> Any:
    """Return what a phase presents if it is a posterior that can be drawn from, or None."""
    inner = found
    while isinstance(inner, Mixture):
        inner = inner.parts
    empty = any(0 in np.shape(leaf)[:3] for leaf in jax.tree.leaves(inner))
    return found if isinstance(inner, Posterior) and not empty else None


def thinned(posterior: Any, axis: int = 1) -> Any:
    """Return a posterior with evenly spaced ones of its draws, as many as a power of two.

    Parameters
    ----------
    posterior
        Samples, or a mixture of them; any other is returned as it is.
    axis
        Where the draws of a chain are.
    """
    if isinstance(posterior, Mixture):
        return replace(posterior, parts=thinned(posterior.parts, axis + 1))
    if not isinstance(posterior, Samples):
        return posterior
    draws = jax.tree.leaves(posterior.draws)[0].shape[axis]
    count = 2 ** (draws.bit_length() - 1)
    at = np.arange(1, count + 1) * draws // count - 1
    return jax.tree.map(lambda leaf: np.take(leaf, at, axis=axis), posterior)
