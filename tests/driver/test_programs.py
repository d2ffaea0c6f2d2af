"""The compiled programs: which one a phase takes, and compilers that lack an option."""

import jax
import numpy as np
import pytest
from tests.methods.test_hmc import linear_gaussian

from posterium import MAP
from posterium.driver import program
from posterium.driver.fit import fit

METHOD = MAP(steps=50)


@pytest.fixture
def programs(monkeypatch):
    """Have the programs compiled anew; record which of the two runs steps."""
    program.programs.cache_clear()
    ran = []

    def counted(name):
        run = getattr(program.programs(), name)
        return lambda *arguments: (ran.append(name), run(*arguments))[1]

    def watch():
        known = program.programs()
        seen = known._replace(short=counted("short"), long=counted("long"))
        monkeypatch.setattr(program, "programs", lambda: seen)
        return ran

    yield watch
    monkeypatch.undo()
    program.programs.cache_clear()


def mode():
    model, data, *_ = linear_gaussian()
    found = fit(jax.random.key(0), model, data, METHOD)
    return found.posterior.mode().params["coefficients"]


def test_work_decides_which_program_runs_and_both_find_the_same(programs, monkeypatch):
    ran = programs()
    quickly = mode()
    assert set(ran) == {"short"}
    ran.clear()
    # 30 rows, and some ten numbers in the state.
    monkeypatch.setattr(program, "LONG_WORK", METHOD.steps * 30)
    np.testing.assert_allclose(mode(), quickly, rtol=1e-4)
    assert set(ran) == {"long"}


def test_an_option_that_the_compiler_lacks_is_left_out(programs, monkeypatch):
    monkeypatch.setattr(program, "QUICK", program.QUICK | {"xla_has_no_such_option": True})
    ran = programs()
    assert np.isfinite(mode()).all()
    assert ran
