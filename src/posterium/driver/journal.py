"""The journal of a fit: where every phase stands, in memory and, if asked, in checkpoints."""

import time
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from types import TracebackType
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np

from posterium.driver.checkpoint import Checkpoints, fingerprint_of
from posterium.numerics import trees
from posterium.posterior.fit import Verdict

SHARE = 0.05
"""At most this share of the time goes into writing checkpoints."""
HELD_BYTES = 2**22
"""Records of more than this are written after the chunk, so that a long chain holds no more."""


@dataclass
class Chapter:
    """One phase: the steps done, what they recorded, and where it stands.

    Parameters
    ----------
    number
        Place of the phase in its method.
    template
        Shapes of what one step records.
    records
        Parts of the record that no file holds, each stacked over its steps.
    step
        Steps done.
    over
        True when no more steps shall be taken, whatever their number.
    position
        The state (None before the first step), what the phase started from, and the model.
    verdict
        What came of it, when the phase is over.
    """

    number: int
    template: Any
    records: list[Any] = field(default_factory=list)
    step: int = 0
    over: bool = False
    position: tuple[Any, Any, Any] = (None, None, None)
    verdict: Verdict | None = None


class Journal:
    """What was done so far, chapter by chapter; kept in a folder when one is given.

    What the steps recorded is then held there and not in memory, until a phase ends. Used as a
    context manager: it holds the folder's lock.
    """

    def __init__(self, directory: str | None, identity: dict[str, Any], precision: str) -> None:
        self._files: Checkpoints | None = None
        if directory is not None:
            marks = {name: fingerprint_of(value) for name, value in identity.items()}
            marks |= {"precision": precision, "devices": str(jax.device_count())}
            marks |= {
                f"version of {name}": _version(name) for name in ("posterium", "jax", "jaxlib")
            }
            self._files = Checkpoints(directory, marks)
        self._saved: tuple[dict[str, np.ndarray], dict[str, Any]] | None = None
        self._verdicts: list[Verdict] = []
        self._next_save = 0.0
        self._lost = False

    def __enter__(self) -> Self:
        """Lock the folder and read where the fit stands."""
        if self._files is not None:
            self._files.open()
            try:
                self._saved = self._files.latest()
            except BaseException:
                self._files.close()
                raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Release the folder."""
        if self._files is not None:
            self._files.close()

    def chapter(self, number: int, template: Any, position: tuple[Any, Any, Any]) -> Chapter:
        """Return the chapter of a phase as far as it was written.

        `position` gives the shapes of its state, and start and model as they are.
        """
        chapter = Chapter(number, template, position=(None, *position[1:]))
        if self._files is None or self._saved is None or number > self._saved[1]["phase"]:
            return chapter
        arrays, meta = self._saved
        if number < meta["phase"]:
            chapter.verdict = Verdict(*(_tuples(v) for v in meta["verdicts"][number]))
            self._verdicts.append(chapter.verdict)
            return chapter
        chapter.step, chapter.over = meta["step"], meta["over"]
        shapes = position if meta["started"] else (None, *position[1:])
        chapter.position = _fill(shapes, arrays)
        return chapter

    def note(self, chapter: Chapter, record: Any) -> None:
        """Add what a chunk of steps recorded.

        Nothing more is written once the objective was lost, in later phases neither, so that the
        checkpoint before it is still there when the fit ends.
        """
        chapter.records.append(record)
        self._lost |= _lost(record[0])

    def save_when_due(self, chapter: Chapter) -> None:
        """Write a checkpoint if the one before is long enough ago; records alone if they are many.

        A fit that goes on from the checkpoint makes those anew.
        """
        if time.monotonic() >= self._next_save:
            self.save(chapter)
        elif self._files is not None and trees.nbytes(chapter.records) > HELD_BYTES:
            self._flush(chapter)

    def joined(self, chapter: Chapter) -> tuple[dict[str, np.ndarray], Any]:
        """Return (info, kept) of a chapter stacked over all steps."""
        parts = [jax.tree.map(lambda s: np.zeros((0, *s.shape), s.dtype), chapter.template)]
        if self._files is not None:
            written = self._files.chunks(f"phase-{chapter.number}")
            parts += [_fill(chapter.template, arrays) for arrays in written]
        return _stacked([*parts, *chapter.records])

    def finish(self, chapter: Chapter, verdict: Verdict, start: Any, model: Any) -> None:
        """Close a chapter, and write where the next one starts."""
        self._verdicts.append(verdict)
        chapter.verdict = verdict
        self._flush(chapter)
        self.save(Chapter(chapter.number + 1, None, position=(None, start, model)))

    def save(self, chapter: Chapter) -> None:
        """Write a checkpoint, unless the objective was lost."""
        if self._files is None or self._lost:
            return
        began = time.monotonic()
        self._flush(chapter)
        meta = {
            "phase": chapter.number,
            "step": chapter.step,
            "over": chapter.over,
            "started": chapter.position[0] is not None,
            "verdicts": [[v.status, v.reasons, v.advice] for v in self._verdicts],
        }
        self._files.save(_leaves(chapter.position), meta)
        now = time.monotonic()
        self._next_save = now + (now - began) / SHARE

    def _flush(self, chapter: Chapter) -> None:
        """Move the records in memory to a chunk file."""
        if self._files is not None and chapter.records and not self._lost:
            self._files.append(f"phase-{chapter.number}", _leaves(_stacked(chapter.records)))
            chapter.records = []


def _stacked(records: list[Any]) -> Any:
    """Return parts of a record as one, over all their steps."""
    return jax.tree.map(lambda *parts: np.concatenate(parts), *records)


def _lost(info: dict[str, np.ndarray]) -> bool:
    """Say whether no member's objective is finite after the last step recorded."""
    return "objective" in info and not np.isfinite(info["objective"][-1:]).any()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _leaves(tree: Any) -> dict[str, np.ndarray]:
    """Return the leaves by number, keys as their data."""
    leaves = jax.tree.leaves(tree)
    data = [jax.random.key_data(leaf) if trees.is_key(leaf) else leaf for leaf in leaves]
    return {f"{i:05d}": np.asarray(leaf) for i, leaf in enumerate(data)}


def _fill(template: Any, arrays: dict[str, np.ndarray]) -> Any:
    """Return a tree like the template with the leaves of a file."""
    leaves, structure = jax.tree.flatten(template)
    found = [arrays[f"{i:05d}"] for i in range(len(leaves))]
    keyed = [
        jax.random.wrap_key_data(jnp.asarray(array), impl=_implementation(leaf))
        if trees.is_key(leaf)
        else array
        for leaf, array in zip(leaves, found, strict=True)
    ]
    return jax.tree.unflatten(structure, keyed)


def _implementation(key: Any) -> Any:
    """Return the implementation of a random key, or of the shape of one."""
    found = []
    jax.eval_shape(lambda key: found.append(jax.random.key_impl(key)), key)
    return found[0]
