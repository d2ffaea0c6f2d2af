"""The `posterium` command."""

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (None: those of the process); return its exit status.

    0: done. 1: the fit failed, or `--strict` was given and its verdict is not ok. 2: the user's
    mistake, in two lines. 130: interrupted.
    """
    from posterium.cli.messages import abrupt, guarded

    try:
        with abrupt():
            from posterium.cli import app
    except ModuleNotFoundError as error:
        print(
            f"The command line needs {error.name}, which is not installed.\n"
            'Install it: pip install "posterium[cli]"',
            file=sys.stderr,
        )
        return 2
    return guarded(lambda: app.parse(argv)())
