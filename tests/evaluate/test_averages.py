"""Errors of averages over draws, by how these came about."""

import numpy as np
import pytest
from tests.evaluate.simulated import autoregressive

from posterium.evaluate.averages import standard_error, worth
from posterium.posterior.sampling import Sampling

RNG = np.random.default_rng(0)
ROWS = 600


def test_independent_draws_count_one_by_one():
    values = RNG.normal(size=(25, 3))
    expected = values.std(axis=0, ddof=1) / 5
    np.testing.assert_allclose(standard_error(values, Sampling()), expected)
    np.testing.assert_allclose(worth(values, Sampling()), 25)


def test_nothing_drawn_has_no_error_and_one_draw_does_not_tell():
    values = np.ones((1, 4))
    assert not standard_error(values, Sampling(exact=True)).any()
    for sampling in (Sampling(), Sampling(chains=1)):
        assert np.isnan(standard_error(values, sampling)).all()


def test_draws_of_chains_that_take_turns_count_by_their_correlation():
    rho, turns, chains = 0.7, 500, 4
    values = np.swapaxes(autoregressive(1, chains, turns, rho, ROWS), 0, 1).reshape(-1, ROWS)
    error = standard_error(values, Sampling(chains=chains))
    assert np.mean(error**2) == pytest.approx(values.mean(axis=0).var(), rel=0.2)
    assert worth(values, Sampling(chains=chains)).mean() == pytest.approx(
        chains * turns * (1 - rho) / (1 + rho), rel=0.1
    )


def test_a_last_turn_that_not_all_chains_take_is_left_out():
    values = RNG.normal(size=(403, 2))
    np.testing.assert_array_equal(
        standard_error(values, Sampling(chains=4)), standard_error(values[:400], Sampling(chains=4))
    )


def test_chains_too_short_to_tell_their_correlation_count_as_one_each():
    values = RNG.normal(size=(6, 2))
    expected = standard_error(values.reshape(3, 2, 2).mean(axis=0), Sampling())
    np.testing.assert_allclose(standard_error(values, Sampling(chains=2)), expected)


def test_constants_have_no_error():
    for sampling in (Sampling(), Sampling(chains=2), Sampling(members=5)):
        assert not standard_error(np.ones((40, 2)), sampling).any()
        assert np.isfinite(worth(np.ones((40, 2)), sampling)).all()


def test_members_count_as_one_each_whatever_they_draw():
    member = RNG.normal(size=(6, 1, ROWS))
    values = (member + 0.1 * RNG.normal(size=(6, 100, ROWS))).reshape(600, ROWS)
    error = standard_error(values, Sampling(members=6))
    assert np.mean(error**2) == pytest.approx(values.mean(axis=0).var(), rel=0.2)
    np.testing.assert_array_equal(worth(values, Sampling(members=6)), 6)
