"""Diagnoses: the table against its statistics, and what is said of each kind of posterior."""

import jax
import numpy as np
import pytest
from tests.evaluate.fits import DATA, DESIGN, X, draws, fit_of, mixed, points, sampled

from posterium import Weights
from posterium._struct import replace
from posterium.evaluate import mixing
from posterium.evaluate.diagnose import NO_VERDICT, diagnose
from posterium.numerics.covariances.dense import Diagonal
from posterium.posterior.posterior import GaussianPosterior, Mixture, Point

KEY = jax.random.key(0)


def gaussians(spread: float) -> GaussianPosterior:
    """Return three Gaussians, this far apart in their own standard deviations."""
    mean = np.array([-1.0, 0, 1])[:, None, None] * spread * 0.1 + np.zeros((3, 3, 1))
    return GaussianPosterior(Weights({"coefficients": mean}), Diagonal(np.full((3, 3), 0.01)))


def test_a_row_of_the_table_holds_the_statistics_of_that_prediction():
    coefficients, raw = draws()
    found = diagnose(KEY, sampled(), DATA)
    values = coefficients @ DESIGN[13]
    expected = mixing.summary(values[..., None]) | {"nested_rhat": mixing.nested_rhat(
        mixing.superchains(values[..., None], np.array([0, 1, 0, 1])))}  # fmt: skip
    row = found.names.index("mean at row 13")
    assert list(found.table) == list(expected)
    for name, value in expected.items():
        assert found.table[name][row] == pytest.approx(value[0], rel=1e-9), name
    scale = found.names.index("likelihood/scale")
    assert found.table["mean"][scale] == pytest.approx(np.exp(raw).mean(), rel=1e-9)
    assert {"log likelihood", "log joint"} <= set(found.names)
    assert found.names.index("log joint") >= 0
    assert len(found.names) == 32 * 2 + 3


def test_the_worst_rows_come_first_and_constants_last():
    fit = sampled()
    fit.info["sampling"]["log_joint"][:, 0] += 3
    found = diagnose(KEY, fit, X)
    assert found.names[0] == "log joint"
    assert (np.diff(found.table["rhat"][: len(found.names)]) <= 0).all()
    lines = repr(found).splitlines()
    assert max(map(len, lines)) <= 100
    header = next(i for i, line in enumerate(lines) if line.split()[:2] == ["mean", "sd"])
    assert lines[header + 1].startswith("log joint")


def test_it_tells_what_the_sampler_recorded():
    found = diagnose(KEY, sampled(), X[:3])
    assert found.sampler["divergences"] == 1
    assert found.sampler["reached_max_depth"] == 0
    assert found.sampler["acceptance_rate"] == pytest.approx(0.8)
    assert 1.5 < found.sampler["bfmi"] < 2.5
    assert found.reading.startswith("4 chains of 500 draws. R-hat compares")


def test_without_data_inputs_are_made_up_within_the_ranges_that_were_seen():
    found = diagnose(KEY, sampled(), None)
    assert sum("made-up input" in name for name in found.names) == 64
    with pytest.raises(ValueError, match="Pass data"):
        diagnose(KEY, replace(sampled(), seen=None))


def test_weights_are_told_on_request_and_labelled():
    found = diagnose(KEY, sampled(), X[:3], weights=True).weights
    assert found.reading == NO_VERDICT
    assert set(found.names) == {f"coefficients[{i},0]" for i in range(3)}
    assert "no verdict" in repr(diagnose(KEY, sampled(), X[:3], weights=True))
    with pytest.raises(ValueError, match="draws of a sampler"):
        diagnose(KEY, points(), weights=True)


def test_members_that_disagree_are_described_and_not_faulted():
    apart, together = (
        diagnose(KEY, fit_of(Mixture(gaussians(by), mixed(3)), method="VI"), X[:5])
        for by in (6.0, 0.0)
    )
    assert "rhat" not in apart.table
    assert np.nanmax(apart.table["disagreement"]) > 1.5
    assert np.nanmax(together.table["disagreement"]) < 1.1
    assert apart.reading.startswith("3 members, 100 draws of each. Disagreement")
    assert "no failure" in apart.reading


def test_of_points_their_spread_is_told():
    coefficients, _ = draws(5, 1)
    found = diagnose(KEY, points(), X[:5])
    assert list(found.table) == ["mean", "sd"]
    row = found.names.index("mean at row 2")
    expected = (coefficients[:, 0] @ DESIGN[2]).std(ddof=1)
    assert found.table["sd"][row] == pytest.approx(expected, rel=1e-9)
    assert (np.diff(found.table["sd"]) <= 0).all()
    assert "no failure" in found.reading


@pytest.mark.parametrize(
    ("posterior", "words"),
    [
        (Point(Weights({"coefficients": np.zeros((3, 1))})), "one set of weights"),
        (
            GaussianPosterior(Weights({"coefficients": np.zeros((3, 1))}), Diagonal(np.ones(3))),
            "one distribution",
        ),
    ],
)
def test_where_there_is_nothing_to_compare_it_says_what_to_do(posterior, words):
    found = diagnose(KEY, fit_of(posterior, method="Laplace"))
    assert found.names == ()
    assert "nothing to compare" in repr(found)
    assert words in repr(found)
    assert "Ensemble(..., 4)" in repr(found)


def test_too_few_draws_are_refused():
    several = fit_of(Mixture(gaussians(1.0), mixed(3)))
    for fit in (sampled(steps=3), several):
        with pytest.raises(ValueError, match="at least 4"):
            diagnose(KEY, fit, draws=3)
