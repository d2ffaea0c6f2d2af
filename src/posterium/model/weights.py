"""Weights: all that turns a network into one function."""

from typing import Any

import jax

from posterium._struct import struct


@struct
class Weights:
    """Everything one function drawn from a network needs, as one pytree.

    Parameters
    ----------
    params
        What has a prior; every leaf has a path such as ``layers/2/kernel``.
    state
        Fixed numbers that are never random and have no prior: batch-norm statistics, the
        frequencies of a random basis. None where the network has none.
    key
        Present when the network's own noise (dropout) is on.
    """

    params: Any
    state: Any = None
    key: jax.Array | None = None
