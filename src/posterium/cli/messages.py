"""What the command says on standard error, and the exit status that goes with it."""

import contextlib
import os
import re
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from posterium.tables.errors import UserError, plain

DONE, FAILED, MISTAKE, INTERRUPTED = 0, 1, 2, 130

LONGEST = 1000
"""Characters of a line: arguments that are quoted in one may be of any length."""

WORDS = (
    (r"\w+=MAP\((\w+)='(\w+)'\)", r"--set at.\1=\2"),
    (r"Evidence\((\w+)\(\)\)", r"--method \1"),
    (r"Ensemble\(MAP\(.*?\)\)", r"--method ensemble"),
    (r"StartFrom\(\.\.\., MAP\(\)\)", r"the modes of --method ensemble"),
    (r"\b(Exact|HMC|IVON|Laplace|MAP|MCLMC|NUTS|PBP|VI)\(\)", r"--method \1"),
    (r"\bParallelTempering\(\)", "--method tempering"),
    (r"\b(Bernoulli|Categorical)\(\)", r"--likelihood \1"),
    (r"(?<![\w.])([a-z_]+)='(\w+)'", r"--set \1=\2"),
    (r", or a (?:record|method such as MAP\(\))(?=[;.])", ""),
    (r"\bRaise target_accept to ", "Give --set target_accept="),
    (r"\bfloat64 precision\b", "--precision float64"),
    (r"\braise the floor of the noise\b", "fix the noise by --noise-sd"),
    (r"\bfix it at what is known of it, or raise the floor\b", "fix it by --noise-sd"),
    (r"(what differs: [^.]*?)\bkey\b", r"\1seed"),
)
"""Python as it stands in the library's messages, and the option that does the same."""


class Stopped(Exception):
    """The user interrupted the command; the text says how to go on."""


def say(text: str) -> None:
    """Print a line on standard error."""
    print(text, file=sys.stderr, flush=True)


def note(text: str) -> None:
    """Print a remark on standard error, on one line."""
    say(f"note: {plain(text)}")


def guarded(run: Callable[[], int]) -> int:
    """Run a command; return its exit status, with every error put in two lines."""
    try:
        with _terminable(), _plain_warnings():
            status = run()
            sys.stdout.flush()
            return status
    except (Stopped, KeyboardInterrupt) as error:
        say(str(error) or "Interrupted.")
        return INTERRUPTED
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # what is still buffered goes there
        return FAILED
    except Exception as error:
        if os.environ.get("POSTERIUM_TRACEBACK"):
            raise
        status, *lines = describe(error)
        say("\n".join(line if len(line) <= LONGEST else f"{line[:LONGEST]}..." for line in lines))
        return status


def describe(error: Exception) -> tuple[int, str, str]:
    """Return exit status, what is wrong, and what to do, each text on one line."""
    text = plain(" ".join(str(error).split()))
    if isinstance(error, UserError):
        what, fix = error.args
        return MISTAKE, plain(what), plain(fix)
    if isinstance(error, ValueError | FileExistsError) and _refused(error):
        return MISTAKE, *halves(error)
    if isinstance(error, OSError):
        return FAILED, text, "Check the disk (space, permissions) and run the command again."
    if isinstance(error, MemoryError):
        return FAILED, "Out of memory.", "Give fewer rows, or --draws with a smaller number."
    if isinstance(error, RuntimeError) and _refused(error):
        return FAILED, *halves(error)
    return (
        FAILED,
        f"Unexpected {type(error).__name__}: {text[:500]}",
        "This is a fault of posterium; set POSTERIUM_TRACEBACK=1 to see where, and report it.",
    )


def _refused(error: Exception) -> bool:
    """Say whether our own code raised an error, so that its text is meant for the user."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return bool(frames) and frames[-1].f_globals.get("__name__", "").startswith("posterium.")


def halves(error: Exception, fix: str = "See posterium --help.") -> tuple[str, str]:
    """Return what is wrong and, its last sentence or else `fix`, what to do."""
    text = in_options(plain(" ".join(str(error).split())))
    what, dot, last = text.rpartition(". ")
    return (f"{what}{dot}".strip(), last) if what else (text, fix)


def in_options(text: str) -> str:
    """Return a text with Python calls and arguments replaced by the options that do the same."""
    for python, option in WORDS:
        text = re.sub(python, lambda match, option=option: _lower(match.expand(option)), text)
    return text


def _lower(option: str) -> str:
    """Return `--method NUTS` as `--method nuts`, and other options as they are."""
    return option.lower() if option.startswith(("--method", "--likelihood")) else option


@contextlib.contextmanager
def abrupt() -> Iterator[None]:
    """Let an interrupt end the process at once, while nothing is done but imports.

    An exception inside an import may be swallowed there, or end in a trace or an abort.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler or (
        threading.current_thread() is not threading.main_thread()
    ):
        yield
        return

    def leave(number: int, frame: Any) -> None:
        os.write(2, b"Interrupted.\n")
        os._exit(INTERRUPTED)

    signal.signal(signal.SIGINT, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM interrupt as SIGINT does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _plain_warnings() -> Iterator[None]:
    """Print warnings on one line, without the place in the code."""

    def show(message: Any, *place: Any, **more: Any) -> None:
        say(f"warning: {plain(' '.join(str(message).split()))}")

    before, warnings.showwarning = warnings.showwarning, show
    try:
        yield
    finally:
        warnings.showwarning = before
