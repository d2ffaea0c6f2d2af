"""The refusal of an input, in two lines, and the way values are quoted in it."""

from collections.abc import Iterable

LISTED = 8
"""How many names a message lists before it counts the rest."""


class UserError(ValueError):
    """Refuse an input: what is wrong and where in one line, what to do about it in a second.

    Parameters
    ----------
    what
        What was found, with the file, the line and the column where there are such.
    fix
        What the user can do.
    """

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what, fix)

    def __str__(self) -> str:
        """Return the two lines."""
        return f"{self.args[0]}\n{self.args[1]}"


def plain(text: str) -> str:
    """Return a text on one line, with everything that cannot be printed escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def quote(text: str, limit: int = 40) -> str:
    """Return a name or a cell in double quotes, on one line, cut after `limit` characters."""
    return f'"{plain(text[:limit])}{"..." if len(text) > limit else ""}"'


def listing(items: Iterable[str], limit: int = LISTED) -> str:
    """Return items with commas between them, the ones beyond the limit counted."""
    items = list(items)
    more = [f"{len(items) - limit} more"] if len(items) > limit else []
    return ", ".join(items[:limit] + more)
