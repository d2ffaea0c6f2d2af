"""Conditions that all members of a vmapped function share."""

import jax
import jax.numpy as jnp


@jax.custom_batching.custom_vmap
def together(flag: jax.Array) -> jax.Array:
    """Return a flag that is the same for all members, as one flag.

    A condition on it then computes what is needed only, where one a member would compute both
    branches at every step.
    """
    return flag


@together.def_vmap
def _(size: int, batched: list[bool], flag: jax.Array) -> tuple[jax.Array, bool]:
    return (jnp.any(flag) if batched[0] else flag), False
