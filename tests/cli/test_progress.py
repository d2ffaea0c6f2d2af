"""Progress on a terminal, drawn on one in memory."""

import io

import numpy as np
from rich.console import Console

from posterium.cli.progress import Bars
from posterium.driver.watch import Report


def report(phase, step, steps, **info):
    return Report(phase, step, steps, info, None)


def test_each_phase_has_a_line_which_starts_anew_when_it_comes_round():
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100, color_system=None)
    with Bars(console) as bars:
        bars(report("descent", 40, 50, objective=np.array([[-3.0, -4.0], [-1.0, -2.0]])))
        bars(report("curvature", 1, 1))
        bars(report("descent", 7, 50, objective=np.array([0.25])))
    lines = [line for line in screen.getvalue().splitlines() if "descent" in line]
    lines = [line for line in lines if " 0/50" not in line]
    assert "40/50" in lines[0]
    assert "objective -1.5" in lines[0]
    assert " 7/50" in lines[-1]
    assert "objective 0.25" in lines[-1]


def test_what_was_drawn_is_wiped():
    screen = io.StringIO()
    with Bars(Console(file=screen, force_terminal=True, width=100)) as bars:
        bars(report("descent", 1, 2))
    assert screen.getvalue().rstrip().endswith(("[2K", "[?25h"))
