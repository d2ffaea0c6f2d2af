"""Devices: members of an ensemble spread over as many as divide their number.

Several CPU devices must be asked for before JAX starts, by
`XLA_FLAGS=--xla_force_host_platform_device_count=N` in the environment.
"""

from typing import Any

import jax
from jax.sharding import AxisType, NamedSharding, PartitionSpec


def count_for(members: int | None) -> int:
    """Return over how many devices so many members go: the most that divide them evenly."""
    if members is None:
        return 1
    return max(n for n in range(1, jax.device_count() + 1) if members % n == 0)


def spread(state: Any, members: int | None) -> Any:
    """Place a state whose leaves have a leading member axis on its devices."""
    used = count_for(members)
    if used == 1:
        return state
    mesh = jax.make_mesh(
        (used,), ("member",), axis_types=(AxisType.Auto,), devices=jax.devices()[:used]
    )
    return jax.device_put(state, NamedSharding(mesh, PartitionSpec("member")))
