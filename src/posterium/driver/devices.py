"""Devices: members of an ensemble, or chains of a sampler, over as many as divide their number."""

import contextlib
import os
from typing import Any

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from posterium.driver.protocol import Phase
from posterium.numerics.mcmc.base import CHAINS

MEMBERS = "member"
"""Axis of a mesh of devices that members are spread over."""


def use_cpu_devices(count: int | None = None) -> None:
    """Let JAX see the CPU as several devices, over which chains and members are spread.

    They share the machine's cores: as many devices as cores keep all of them busy, where the chains
    of a sampler would otherwise run one after another. Draws of `NUTS`, `HMC` and `ChEES` with a
    diagonal mass are the same, whatever the number; others may round differently. It must be called
    before anything is computed.

    Parameters
    ----------
    count
        Devices; None for as many as this process may use cores.

    Raises
    ------
    RuntimeError
        When JAX has started already, with what to do.
    ValueError
        For a count below 1.

    Examples
    --------
    >>> import posterium as ps
    >>> ps.use_cpu_devices(2)  # doctest: +SKIP
    """
    if count is not None and count < 1:
        raise ValueError(f"count must be at least 1, or None for all cores; got {count}.")
    try:
        jax.config.update("jax_num_cpu_devices", cores() if count is None else count)
    except RuntimeError as error:
        raise RuntimeError(
            "use_cpu_devices expects to be called before JAX starts, which its first array or fit "
            f"does; it sees {jax.device_count()} by now. Call it right after the imports, or set "
            "JAX_NUM_CPU_DEVICES in the environment."
        ) from error


def use_all_cores() -> None:
    """Do `use_cpu_devices()`, unless it is too late or the environment says otherwise."""
    flags = os.environ.get("XLA_FLAGS", "")
    said = "JAX_NUM_CPU_DEVICES" in os.environ or "host_platform_device_count" in flags
    if not said:
        with contextlib.suppress(RuntimeError):
            use_cpu_devices()


def cores() -> int:
    """Return how many cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def mesh_for(phase: Phase) -> Mesh | None:
    """Return the devices a phase is spread over, the most that divide its parts; None for one."""
    name = CHAINS if phase.members is None else MEMBERS
    parts = parts_of(phase) or 1
    used = max(n for n in range(1, jax.device_count() + 1) if parts % n == 0)
    if used == 1:
        return None
    devices = jax.devices()[:used]
    return jax.make_mesh((used,), (name,), axis_types=(AxisType.Auto,), devices=devices)


def parts_of(phase: Phase) -> int | None:
    """Return how many members, or else chains, a phase has to spread."""
    return phase.spreadable if phase.members is None else phase.members


def within(mesh: Mesh | None) -> Any:
    """Return the context in which programs of a phase are made and run."""
    return contextlib.nullcontext() if mesh is None else jax.set_mesh(mesh)


def spread(state: Any, mesh: Mesh | None, parts: int | None) -> Any:
    """Place a state on the devices of its phase; leaves without a part each go to all of them."""
    if mesh is None:
        return state

    def placed(leaf: Any) -> Any:
        split = leaf.shape[:1] == (parts,)
        return jax.device_put(leaf, NamedSharding(mesh, PartitionSpec(*mesh.axis_names * split)))

    return jax.tree.map(placed, state)
