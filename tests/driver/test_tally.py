"""What adds up over a phase, against plain sums and the verdict's own measure."""

import numpy as np
import pytest

from posterium.driver.tally import Tally, shown, values
from posterium.driver.watch import Report
from posterium.evaluate.mixing import ess_bulk, ess_tail

RNG = np.random.default_rng(0)
CHAINS, DRAWS = 3, 40
RECORD = {
    "acceptance_rate": RNG.uniform(size=(DRAWS, CHAINS)),
    "diverging": RNG.uniform(size=(DRAWS, CHAINS)) < 0.2,
    "log_joint": np.cumsum(RNG.normal(size=(DRAWS, CHAINS)), axis=0),
    "probe": RNG.normal(size=(DRAWS, CHAINS, 2, 1)),
}


def reports(*cuts, phase="sampling", before=0, warmup=0, record=RECORD):
    """Return the reports of a phase whose chunks end at these steps."""

    def one(start, end):
        info = {name: value[start:end] for name, value in record.items()}

        def so_far():
            return {name: value[:end] for name, value in record.items()}

        return Report(phase, end, DRAWS, info, None, before, warmup, None, so_far)

    return [one(*ends) for ends in zip((0, *cuts), cuts, strict=False)]


def fed(*given):
    tally = Tally()
    for report in given:
        tally.add(report)
    return tally


def least(draws, warmup=0):
    """Return the smallest effective size of these draws, one quantity at a time."""
    columns = [RECORD["log_joint"], *np.moveaxis(RECORD["probe"][..., 0], 2, 0)]
    each = [column[warmup:draws].T for column in columns]
    sizes = [min(float(ess(column)) for ess in (ess_bulk, ess_tail)) for column in each]
    return min(*sizes, CHAINS * (draws - warmup))


def test_rates_add_up_to_the_same_bits_however_steps_are_grouped():
    wholes = fed(*reports(DRAWS)).rates()
    assert fed(*reports(1, 9, 10, DRAWS)).rates() == wholes
    assert wholes["divergences"] == RECORD["diverging"].sum()
    np.testing.assert_allclose(wholes["acceptance"], RECORD["acceptance_rate"].mean(), rtol=1e-12)


def test_rates_are_told_of_every_step_of_the_last_chunk():
    tally = fed(*reports(10, 30))
    for step in (11, 20, 30):
        assert tally.rates(step) == fed(*reports(step)).rates()


def test_effective_draws_are_those_of_the_worst_quantity_so_far():
    assert fed(*reports(7, 30)).effective()["ess"] == pytest.approx(least(30))
    assert fed(*reports(7, 30)).effective(20)["ess"] == pytest.approx(least(20))
    assert fed(*reports(30, warmup=6)).effective()["ess"] == pytest.approx(least(30, 6))


def test_too_few_draws_and_phases_without_any_have_no_effective_ones():
    assert fed(*reports(3)).effective() == {}
    assert fed(*reports(8, warmup=6)).effective() == {}
    assert fed(*reports(30, record={"objective": np.zeros(DRAWS)})).effective() == {}
    warm = {name: value for name, value in RECORD.items() if name != "probe"}
    assert fed(*reports(30, record=warm)).effective() == {}
    members = {name: value[:, None] for name, value in RECORD.items()}
    assert fed(*reports(30, record=members)).effective() == {}


def test_what_came_before_a_resumed_fit_is_read_back():
    first, second, third = reports(10, 20, 30)
    del first
    tally = fed(second, third)
    assert tally.rates() == fed(*reports(30)).rates()
    assert tally.effective() == fed(*reports(30)).effective()


def test_a_tally_begins_anew_with_every_phase_and_when_one_comes_round_again():
    tally = Tally()
    assert [tally.add(report) for report in reports(10, 20)] == [True, False]
    assert tally.add(*reports(5, before=20))
    assert tally.rates() == fed(*reports(5)).rates()
    assert tally.add(*reports(5, phase="other", before=20))


def test_members_and_chains_are_averaged_and_what_says_nothing_is_left_out():
    info = {"objective": np.array([[1.0, 3.0], [2.0, 6.0]]), "probe": np.zeros((2, 2))}
    assert values(info) == {"objective": 4.0}
    assert values(info, 0) == {"objective": 2.0}
    assert values({"objective": np.zeros((0, 2))}) == {}


def test_the_objective_and_its_terms_are_shown_first_and_alone():
    info = {"kl_weight": np.ones(1), "kl": np.ones(1), "objective": np.ones(1)}
    assert list(shown(info)) == ["objective", "kl"]
    assert shown({"gain": np.ones(1)}) == {"gain": 1.0}
