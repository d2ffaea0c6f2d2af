"""`posterium methods`: the methods by name."""

from posterium.cli.messages import DONE
from posterium.combinators.catalogue import ENTRIES


def run() -> int:
    """Run the command; return its exit status."""
    width = max(map(len, ENTRIES))
    for name, entry in ENTRIES.items():
        only = "" if len(entry.tasks) > 1 else f" ({entry.tasks[0]} only)"
        print(f"{name:<{width}}  {entry.summary}{only}")
    return DONE
