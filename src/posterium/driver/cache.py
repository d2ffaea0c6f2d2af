"""Compiled programs: kept on disk between processes, and dropped before they are too many."""

import contextlib
import os
from pathlib import Path

import jax
from jax.experimental.compilation_cache import compilation_cache

LIMIT = 2**29
"""Bytes the cache on disk may hold; the entries written first go first."""
MAPS = Path("/proc/self/maps")
MOST_MAPS = Path("/proc/sys/vm/max_map_count")
SHARE = 0.7
"""Of the memory maps a process may have, how many may be in use before programs are dropped."""


def make_room() -> None:
    """Drop all compiled programs when the process runs out of memory maps.

    Each program takes a few, Linux allows 65,530 to a process, and XLA crashes without a message
    when there are no more: after some 400 fits of different shapes, as when rows are added one by
    one. What is dropped is compiled again when it is needed.
    """
    with contextlib.suppress(OSError):
        if MAPS.read_bytes().count(b"\n") > SHARE * int(MOST_MAPS.read_text()):
            jax.clear_caches()


def enable_compilation_cache(path: str | os.PathLike[str] | None = None) -> Path | None:
    """Keep compiled programs on disk, so that the next process need not compile them again.

    The command line calls it; in Python it is your choice, best made before the first fit. The
    folder must be yours alone, since what is loaded from it is run. Results are the same with it
    and without.

    Parameters
    ----------
    path
        The folder, made if missing. None takes the environment variable
        ``JAX_COMPILATION_CACHE_DIR``, or else ``posterium/jax`` in the user's cache folder
        (``XDG_CACHE_HOME`` or ``~/.cache``).

    Returns
    -------
    Path or None
        The folder; None when it cannot be written, and nothing is changed.

    Notes
    -----
    JAX keeps by default only what took a second to compile; here even small programs are kept. It
    never replaces an entry that it cannot read, so those are removed now, and the oldest ones when
    there is more than half a gibibyte.
    """
    folder = Path(path) if path is not None else _default()
    if not _usable(folder):
        return None
    _tidy(folder)
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    compilation_cache.reset_cache()
    return folder


def _default() -> Path:
    named = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME", "")
    return Path(base if os.path.isabs(base) else os.path.expanduser("~/.cache"), "posterium", "jax")


def _usable(folder: Path) -> bool:
    """Make the folder; say whether it is there and may be written."""
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder.is_dir() and os.access(folder, os.R_OK | os.W_OK | os.X_OK)


def _tidy(folder: Path) -> None:
    """Remove entries that cannot be read, and the oldest ones beyond the limit."""
    held = 0
    for entry in sorted(folder.glob("*-cache"), key=_written, reverse=True):
        with contextlib.suppress(OSError):
            data = entry.read_bytes()
            held += len(data)
            if held > LIMIT or not _readable(data):
                entry.unlink()


def _written(entry: Path) -> int:
    try:
        return entry.stat().st_mtime_ns
    except OSError:
        return 0


def _readable(data: bytes) -> bool:
    """Say whether JAX can decompress an entry."""
    from jax._src.compilation_cache import decompress_executable

    try:
        return len(decompress_executable(data)) > 0
    except Exception:  # each decompressor that JAX may use has errors of its own
        return False
