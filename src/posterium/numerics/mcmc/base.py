"""What kernels and their adaptation have in common.

A kernel makes a transition of one chain: ``first_state(key, position, log_density)``, and
``step(key, state, log_density, pace)``, which returns the next state and what happened on the way.
Positions are vectors (p,): one array keeps the compiled programs small.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from posterium._struct import struct

LogDensity = Callable[[jax.Array], jax.Array]
Info = dict[str, jax.Array]


@struct
class Pace:
    """How a chain moves.

    Parameters
    ----------
    step_size
        Of the integrator.
    inverse_mass
        (p,) or (p, p).
    length
        Over which a microcanonical chain forgets its direction; None for Hamiltonian ones.
    """

    step_size: Any
    inverse_mass: Any
    length: Any = None


def each(transition: Callable[..., Any], *of_chains: Any) -> Any:
    """Return what a transition of every chain gives; arguments and results have a leading axis.

    On a CPU one after another: no chain waits for another's longer trajectory, what it works on
    stays in the cache, and the program is half as long to compile. On accelerators side by side.
    """
    if jax.default_backend() == "cpu":
        return jax.lax.map(lambda parts: transition(*parts), of_chains)
    return jax.vmap(transition)(*of_chains)


def strong(tree: Any) -> Any:
    """Return arrays of definite types: a Python number would change the program that sees it."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.result_type(leaf)), tree)
