"""The space on the disk that a fit's files need, reckoned before the fit begins."""

import os
import shutil
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from posterium.driver import batches, program
from posterium.driver.protocol import Method
from posterium.model.data import Data
from posterium.model.model import Model
from posterium.numerics import trees
from posterium.tables.errors import UserError, plain

ROW = 400
"""Bytes of a row of predictions, about 20 for each number."""
SPARE = 2**20
"""Bytes for headers, tables of names and what else there is."""


def sizes(
    method: Method, model: Model, data: Data, precision: str | None = None
) -> tuple[int, int]:
    """Return the bytes of a fit when all its steps are taken, and of two checkpoints on the way.

    Nothing is computed: phases are followed by shape, as the driver runs them.
    """
    dtype = np.dtype(precision or method.precision)
    programs = program.programs()
    with jax.enable_x64(dtype == np.float64):
        start, key, largest, records = None, jax.random.key(0), 0, 0
        model, data = trees.cast((model, data), dtype)
        for phase in method.phases(model, data):
            source = batches.source(key, data, phase.batch_size, dtype)
            state = jax.eval_shape(programs.init, phase, key, model, source.first, start)
            batch = jax.eval_shape(lambda plan: plan.batch(0), source.plan(0, 1, 1))
            info, kept = _stacked(program.record_shape(phase, state, model, batch), phase.steps)
            records += trees.nbytes(info)
            largest = max(largest, trees.nbytes(state) + trees.nbytes(start))
            largest += trees.nbytes(kept)
            start, model = jax.eval_shape(programs.end, phase, state, kept, model, source.first)
    return trees.nbytes(start) + records, 2 * largest + records


def _stacked(shapes: Any, steps: int) -> Any:
    return jax.tree.map(lambda s: jax.ShapeDtypeStruct((steps, *s.shape), s.dtype), shapes)


def check(needed: Mapping[str, tuple[str, int]]) -> None:
    """Refuse to begin where a disk has no room for the files to be written there.

    Parameters
    ----------
    needed
        By option, the path and the bytes that are written to it.
    """
    total: dict[int, int] = {}
    for option, (path, size) in needed.items():
        folder = path if os.path.isdir(path) else os.path.dirname(os.path.abspath(path))
        disk = os.stat(folder).st_dev
        total[disk] = total.get(disk, SPARE) + size
        free = shutil.disk_usage(folder).free
        if total[disk] > free:
            raise UserError(
                f"{option}: {total[disk] / 1e6:,.0f} MB are needed in {plain(folder)}, "
                f"{free / 1e6:,.0f} MB are free.",
                "Make room there, or choose a folder on another disk.",
            )
