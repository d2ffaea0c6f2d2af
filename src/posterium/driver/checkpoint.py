"""Checkpoints: what a fit needs to go on after its process was killed at any moment.

A directory holds the newest two checkpoints and, beside them, chunks: the draws and records kept
so far, written once. A checkpoint says how many chunks belong to it, so that chunks written after
it are ignored, and written again, when the fit resumes from it.
"""

import dataclasses
import fcntl
import hashlib
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import jax
import numpy as np

from posterium.numerics.trees import is_key
from posterium.posterior import container
from posterium.posterior.container import FileError, PathLike

KEPT = 2
"""How many checkpoints are kept: the newest and the one before."""

_NUMBERED = re.compile(r"checkpoint-(\d{8})\.posterium")


class CheckpointMismatch(ValueError):
    """A checkpoint of another fit: other data, model, method, key, precision or versions."""


class CheckpointLocked(RuntimeError):
    """A directory of checkpoints that another fit is using."""


class Checkpoints:
    """The checkpoints of one fit in one directory, used as a context manager.

    Parameters
    ----------
    directory
        Made if it is missing; the directory above it must exist.
    fingerprint
        What makes a fit this one, as short strings by name (data, model, method, key, precision,
        versions). A checkpoint with another fingerprint is refused.
    """

    def __init__(self, directory: PathLike, fingerprint: dict[str, str]) -> None:
        self.directory = Path(directory)
        self.fingerprint = fingerprint
        self._lock: int | None = None
        self._number: int | None = None
        self._chunks: dict[str, int] = {}

    def __enter__(self) -> Self:
        """Open the directory."""
        return self.open()

    def __exit__(self, *exception: object) -> None:
        """Close it."""
        self.close()

    def open(self) -> Self:
        """Lock the directory for this process and remove what a killed writer left.

        Raises
        ------
        CheckpointLocked
            Another fit holds the directory. Its lock dies with its process.
        OSError
            The directory can be neither made nor written.
        """
        try:
            if not self.directory.is_dir():
                self.directory.mkdir(exist_ok=True)
                container.sync_directory(self.directory.absolute().parent)
            lock = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise OSError(
                error.errno, f"Could not keep checkpoints in {self.directory}: {error.strerror}"
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(lock)
            raise CheckpointLocked(
                f"{self.directory} is in use by another fit. "
                "Wait for it, stop it, or give this fit a directory of its own."
            ) from error
        self._lock = lock
        for left in self.directory.glob(container.TEMPORARY):
            os.unlink(left)
        return self

    def close(self) -> None:
        """Release the lock."""
        if self._lock is not None:
            os.close(self._lock)
        self._lock = self._number = None

    def latest(self) -> tuple[dict[str, np.ndarray], Any] | None:
        """Return the arrays and meta of the newest usable checkpoint, or None if there is none.

        What is saved and appended from here on continues that checkpoint. A damaged checkpoint,
        or one with a damaged chunk, is passed over with a warning.

        Raises
        ------
        FileError
            There are checkpoints and all are damaged.
        CheckpointMismatch
            The checkpoint is one of another fit.
        """
        self._require_lock()
        damage: list[str] = []
        numbers = self._numbers()
        for number in reversed(numbers):
            try:
                arrays, meta = self._read(number)
            except FileError as error:
                damage.append(str(error))
                continue
            except FileNotFoundError as error:
                damage.append(f"{error.filename} is missing.")
                continue
            if damage:
                warnings.warn(
                    f"{' '.join(damage)} Continuing from {self._path(number).name}, the one "
                    "before; the work done since then is done again.",
                    stacklevel=2,
                )
            self._number, self._chunks = number, dict(meta["chunks"])
            return arrays, meta["meta"]
        if numbers:
            raise FileError(
                f"All checkpoints in {self.directory} are damaged: {' '.join(damage)} "
                "Restore one, or remove the directory to start again."
            )
        self._number, self._chunks = 0, {}
        return None

    def save(self, arrays: dict[str, np.ndarray], meta: Any) -> None:
        """Write the next checkpoint durably, then remove all but the newest two.

        Parameters
        ----------
        arrays
            The state by path.
        meta
            Anything JSON can hold: the phase, the step.

        Raises
        ------
        OSError
            It could not be written; the checkpoints before it are as they were.
        """
        number = self._current() + 1
        envelope = {
            "kind": "checkpoint",
            "fingerprint": self.fingerprint,
            "chunks": self._chunks,
            "meta": meta,
        }
        container.write(self._path(number), arrays, envelope)
        self._number = number
        for old in self._numbers():
            if old <= number - KEPT:
                os.unlink(self._path(old))

    def append(self, name: str, arrays: dict[str, np.ndarray]) -> None:
        """Write the next chunk of a series; it counts once a checkpoint is saved after it.

        Damaged checkpoints that were passed over are removed first: it may be a chunk of theirs
        that is written again.

        Parameters
        ----------
        name
            The series, such as ``draws-1``. A name is never reused for another series in one fit,
            because the checkpoint before the newest may still need the earlier one.
        arrays
            The arrays of this chunk.
        """
        current = self._current()
        for newer in self._numbers():
            if newer > current:
                os.unlink(self._path(newer))
        number = self._chunks.get(name, 0)
        container.write(self._chunk_path(name, number), arrays, _chunk_meta(name, number))
        self._chunks[name] = number + 1

    def chunks(self, name: str, count: int | None = None) -> list[dict[str, np.ndarray]]:
        """Return the first chunks of a series, by default all that belong to this fit so far."""
        count = self._chunks.get(name, 0) if count is None else count
        return [self._read_chunk(name, number) for number in range(count)]

    def _require_lock(self) -> None:
        if self._lock is None:
            raise RuntimeError("Open the checkpoints before use: `with Checkpoints(...) as c`.")

    def _current(self) -> int:
        """Return the number of the checkpoint that is continued."""
        self._require_lock()
        if self._number is None:
            raise RuntimeError("Call `latest` first, so that earlier checkpoints are not lost.")
        return self._number

    def _numbers(self) -> list[int]:
        names = (_NUMBERED.fullmatch(name) for name in os.listdir(self.directory))
        return sorted(int(match[1]) for match in names if match)

    def _path(self, number: int) -> Path:
        return self.directory / f"checkpoint-{number:08d}.posterium"

    def _chunk_path(self, name: str, number: int) -> Path:
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name) or name == "checkpoint":
            raise ValueError(f"A series has a name of letters, digits and -_. ; got {name!r}.")
        return self.directory / f"{name}-{number:08d}.posterium"

    def _read(self, number: int) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        arrays, meta = container.read(self._path(number))
        if not isinstance(meta, dict) or meta.get("kind") != "checkpoint":
            raise FileError(f"{self._path(number)} is no checkpoint.")
        self._check_fingerprint(number, meta["fingerprint"])
        for name, count in meta["chunks"].items():
            for chunk in range(count):
                self._read_chunk(name, chunk)
        return arrays, meta

    def _read_chunk(self, name: str, number: int) -> dict[str, np.ndarray]:
        path = self._chunk_path(name, number)
        arrays, meta = container.read(path)
        if meta != _chunk_meta(name, number):
            raise FileError(f"{path} is another file under this name.")
        return arrays

    def _check_fingerprint(self, number: int, found: dict[str, str]) -> None:
        names = sorted(found.keys() | self.fingerprint.keys())
        pairs = [(n, found.get(n, "none"), self.fingerprint.get(n, "none")) for n in names]
        if differ := [_difference(n, a, b) for n, a, b in pairs if a != b]:
            raise CheckpointMismatch(
                f"{self._path(number)} is of another fit; what differs: {', '.join(differ)}. "
                "Use the same settings and data, another directory, or remove this one."
            )


def fingerprint_of(tree: Any) -> str:
    """Return a SHA-256 of a value: its structure, types, shapes and bytes, in 64 hex digits.

    It is the same in every process. Functions count by their qualified name alone, so that an
    edited function body is not noticed.
    """
    hasher = hashlib.sha256()
    for token in _tokens(tree):
        hasher.update(len(token).to_bytes(8, "little"))
        hasher.update(token)
    return hasher.hexdigest()


def _tokens(value: Any) -> Iterator[bytes]:
    """Yield what a value consists of; each node opens with its type and number of parts."""
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        yield from _array_tokens(value)
        return
    parts = _parts(value)
    yield f"{type(value).__module__}.{type(value).__qualname__} {len(parts)}".encode()
    if not parts:
        yield _text(value).encode()
    for name, part in parts:
        yield name.encode()
        yield from _tokens(part)


def _array_tokens(value: Any) -> Iterator[bytes]:
    label = ""
    if is_key(value):
        label, value = f"key {jax.random.key_impl(value)} ", jax.random.key_data(value)
    array = np.asarray(value)
    yield f"array {label}{array.dtype.str} {array.shape}".encode()
    yield array.tobytes()


def _parts(value: Any) -> list[tuple[str, Any]]:
    """Return the children of one node by name; none for what counts by its text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [(f.name, getattr(value, f.name)) for f in dataclasses.fields(value)]
    if isinstance(value, dict):
        return sorted(((repr(k), v) for k, v in value.items()), key=lambda pair: pair[0])
    if isinstance(value, list | tuple):
        return [("", item) for item in value]
    if isinstance(value, set | frozenset):
        return [(text, None) for text in sorted(map(_text, value))]
    if type(value).__repr__ is object.__repr__:
        return sorted(getattr(value, "__dict__", {}).items())
    children, structure = jax.tree.flatten(value, is_leaf=lambda node: node is not value)
    if not children or children[0] is value:
        return []
    return [("structure", str(structure)), *(("", child) for child in children)]


def _text(value: Any) -> str:
    """Return the text of a leaf without addresses in memory."""
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def _chunk_meta(name: str, number: int) -> dict[str, Any]:
    return {"kind": "chunk", "name": name, "number": number}


def _difference(name: str, before: str, now: str) -> str:
    """Say what differs; digests have nothing to say to a reader."""
    digests = any(re.fullmatch("[0-9a-f]{64}", value) for value in (before, now))
    return name if digests else f"{name} (was {before}, is {now})"
