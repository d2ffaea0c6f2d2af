"""Forked processes: JAX does not run in one, so it is refused there at once.

JAX is multithreaded; the child of a fork has its locks but not its threads, and waits for ever.
"""

import os

from jax._src import xla_bridge

_forked = False


def _note() -> None:
    global _forked
    _forked = _forked or xla_bridge.backends_are_initialized()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note)


def refuse() -> None:
    """Refuse to compute in a process forked from one in which JAX was already running.

    Raises
    ------
    RuntimeError
        There; elsewhere nothing happens.
    """
    if _forked:
        raise RuntimeError(
            "Expected a process of its own for JAX; this one was forked from a process in which "
            "JAX was already running, and would wait for ever. Start worker processes by spawn, "
            "multiprocessing.get_context('spawn') or joblib's default 'loky', or fork before the "
            "first fit or prediction."
        )
