"""Interrupts: status 130, one line, and a resumed fit that ends with the same bytes."""

import os
import signal
import subprocess
import sys
import time

import pytest

from posterium.cli import messages

PROGRAM = "import sys; from posterium.cli import main; sys.exit(main(sys.argv[1:]))"
STEPS = 30_000


def command(table, *more):
    """Return a fit that takes some seconds, as arguments."""
    options = [
        "--target",
        "y",
        "--method",
        "map",
        "--set",
        f"steps={STEPS}",
        "--set",
        "validation=0",
    ]
    return ["fit", str(table), *options, *map(str, more)]


def interrupt(argv, folder, number):
    """Start the command and send it a signal once it wrote a checkpoint.

    Return its exit status, what it said, and the seconds it took to stop.
    """

    def written():
        return {path.name for path in folder.glob("checkpoint-*")}

    before = written()
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *argv], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    end = time.monotonic() + 60
    while written() <= before and child.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.01)
    child.send_signal(number)
    sent = time.monotonic()
    _, err = child.communicate(timeout=60)
    return child.returncode, err.decode(), time.monotonic() - sent


def test_an_interrupted_fit_goes_on_to_the_same_bytes(numbers, run, tmp_path):
    folder, cut, whole = (tmp_path / name for name in ("ck", "cut.posterium", "whole.posterium"))
    argv = command(numbers, "--checkpoint", folder, "--out", cut)
    for number in (signal.SIGINT, signal.SIGTERM):
        status, err, seconds = interrupt(argv, folder, number)
        assert status == 130, err
        assert err == f"Interrupted. The same command goes on from {folder}.\n"
        assert seconds < 15
        assert list(folder.glob("checkpoint-*"))
        assert not cut.exists()
    assert run(*argv)[0] == 0
    assert run(*command(numbers, "--out", whole))[0] == 0
    assert cut.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_any_command_ends_with_130_in_one_line(number, capsys):
    def slow():
        os.kill(os.getpid(), number)
        time.sleep(10)
        return 0

    before = signal.getsignal(number)
    assert messages.guarded(slow) == 130
    assert capsys.readouterr().err == "Interrupted.\n"
    assert signal.getsignal(number) is before


def test_a_reader_that_goes_away_is_no_error():
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "methods"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        child.stdout.close()
        err = child.stderr.read().decode()
    assert child.returncode == 1
    assert err == ""


@pytest.mark.parametrize("moment", ["typer", "optax"])
def test_an_interrupt_while_the_command_starts_ends_it_in_one_line(moment, numbers):
    hook = (
        "import os, signal, sys\n"
        "def strike(event, args):\n"
        f"    if event == 'import' and args[0] == {moment!r}:\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.addaudithook(strike)\n"
    )
    argv = [sys.executable, "-c", f"{hook}{PROGRAM}", *command(numbers)]
    found = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert (found.returncode, found.stdout, found.stderr) == (130, "", "Interrupted.\n")
