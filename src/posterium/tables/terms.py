"""How refusals name what a user can set: as options of the command line, or as parameters."""

from collections.abc import Sequence
from typing import Protocol

from posterium.tables.errors import LISTED, quote


class Terms(Protocol):
    """The words for a setting, by where a table came from."""

    def choose(self, setting: str, value: str) -> str:
        """Return how to give a setting this value."""
        ...

    def categorical(self, names: Sequence[str]) -> str:
        """Return how to take columns for categories."""
        ...

    def drop(self, names: Sequence[str]) -> str:
        """Return how to leave columns out."""
        ...


class Options:
    """Options of the command line, as for tables that are read from files."""

    def choose(self, setting: str, value: str) -> str:
        """Return `--missing drop` or the like."""
        return f"--{setting} {value}"

    def categorical(self, names: Sequence[str]) -> str:
        """Return `--categorical a --categorical b` or the like."""
        return _each("--categorical", names)

    def drop(self, names: Sequence[str]) -> str:
        """Return `--drop a --drop b` or the like."""
        return _each("--drop", names)


class Parameters:
    """Parameters of an estimator, as for tables in memory."""

    def choose(self, setting: str, value: str) -> str:
        """Return `missing="drop"` or the like."""
        return f'{setting}="{value}"'

    def categorical(self, names: Sequence[str]) -> str:
        """Return `categorical=["a", "b"]` or the like."""
        return f"categorical=[{', '.join(map(quote, names[:LISTED]))}]"

    def drop(self, names: Sequence[str]) -> str:
        """Return `drop "a", "b"` or the like: columns are left out of a frame by its own means."""
        return f"drop {', '.join(map(quote, names[:LISTED]))}"


def _each(option: str, names: Sequence[str]) -> str:
    """Return an option once for each name."""
    quoted = (quote(name) if " " in name else name for name in names[:LISTED])
    return " ".join(f"{option} {name}" for name in quoted)
