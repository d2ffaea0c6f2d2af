"""Likelihoods by name: every one fits, predicts in the target's units, and is loaded again."""

import numpy as np
import pytest

from posterium import MAP, MLP, BayesianClassifier, BayesianRegressor, Gaussian, Grouped
from posterium.combinators.likelihoods import LIKELIHOODS

RNG = np.random.default_rng(8)
X = RNG.normal(size=(60, 2))
MEAN = X @ [1.0, -0.5]
NUMBERS = 100 + 10 * (MEAN + 0.3 * RNG.standard_t(4, 60))
COUNTS = RNG.poisson(np.exp(3 + 0.5 * MEAN))
TIMES = 5 * np.exp(MEAN) * RNG.weibull(1.5, 60)
CUT = RNG.uniform(1, 12, 60)
CENSORED = np.column_stack([np.minimum(TIMES, CUT), TIMES < CUT])
GRADES = np.digitize(MEAN, [-1, 0, 1])
TARGETS = {"poisson": COUNTS, "negative_binomial": COUNTS, "weibull": CENSORED}
QUICK = MAP(steps=150, learning_rate=0.02)


def target(name):
    return TARGETS.get(name, NUMBERS)


def fitted(name, **more):
    return BayesianRegressor(method=QUICK, likelihood=name, **more).fit(X, target(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", LIKELIHOODS["regression"])
def test_every_name_fits_predicts_and_is_loaded_again(name, tmp_path):
    y, model = target(name), fitted(name)
    found = model.predict_dist(X)
    first = y if y.ndim == 1 else y[:, 0]
    assert found.mean.shape == (60,)
    assert np.corrcoef(found.mean, first)[0, 1] > 0.3
    low, high = found.interval(0.9)
    assert ((low < high) & (found.sd > 0)).all()
    if name != "weibull":
        assert 0.6 < np.mean((low <= first) & (first <= high)) <= 1
    assert model.log_score(X, y) > np.mean(found.log_prob(y)) - 1e-9
    model.save(tmp_path / "m.posterium")
    again = BayesianRegressor.load(tmp_path / "m.posterium").predict_dist(X)
    np.testing.assert_array_equal(again.quantile(0.3), found.quantile(0.3))


@pytest.mark.slow
@pytest.mark.parametrize("name", LIKELIHOODS["regression"])
def test_every_name_has_draws_of_functions_and_noise(name):
    draws = fitted(name).sample_y(X[:7], 3, random_state=1)
    assert draws.shape == (7, 3)
    if name in ("poisson", "negative_binomial"):
        assert (draws == np.floor(draws)).all()
    if name == "weibull":
        assert (draws > 0).all()


@pytest.mark.slow
def test_the_unit_of_times_changes_nothing_else():
    long = np.column_stack([1000 * CENSORED[:, 0], CENSORED[:, 1]])
    one, other = (
        BayesianRegressor(method=QUICK, likelihood="weibull").fit(X, y).predict_dist(X[:5])
        for y in (CENSORED, long)
    )
    np.testing.assert_allclose(1000 * one.quantile(0.5), other.quantile(0.5), rtol=1e-4)


@pytest.mark.slow
def test_ordered_classes_are_read_off_numbers():
    model = BayesianClassifier(method=QUICK, likelihood="ordinal").fit(X, GRADES + 1)
    found = model.predict_dist(X)
    assert found.ordered
    assert model.score(X, GRADES + 1) > 0.5
    np.testing.assert_allclose(found.probs.sum(axis=1), 1, rtol=1e-9)


def test_a_heavy_tailed_fit_keeps_the_units_of_its_target():
    found = fitted("heteroscedastic_student_t").predict_dist(X)
    assert abs(found.quantile(0.5).mean() - 100) < 5
    assert 1 < np.median(found.sd) < 15


@pytest.mark.parametrize(
    ("name", "y", "words"),
    [
        ("poisson", NUMBERS - 0.5, "Poisson expects a count.*row 0"),
        ("negative_binomial", COUNTS - 1000, "NegativeBinomial expects a count.*has -"),
        ("weibull", NUMBERS, "expects two target columns, the time and the event"),
        ("weibull", np.c_[-TIMES, TIMES > 0], "expects a time above 0.*row 0"),
        ("weibull", np.c_[TIMES, TIMES * 0 + 2], "0 or 1 for the event.*, 2"),
        ("mixture", np.c_[NUMBERS, NUMBERS], "MixtureOfGaussians expects one target column"),
        ("cauchy", NUMBERS, "likelihood for regression must be one of gaussian.*got 'cauchy'"),
        (3, NUMBERS, "likelihood for regression must be one of gaussian.*got 3"),
    ],
)
def test_targets_that_do_not_suit_are_refused(name, y, words):
    with pytest.raises(ValueError, match=words):
        BayesianRegressor(method=QUICK, likelihood=name).fit(X, y)


def test_groups_keep_their_numbers():
    x = np.c_[X, np.arange(len(X)) % 3]
    tied = BayesianRegressor(
        method=QUICK, network=Grouped(MLP(1, (2,)), 3), likelihood=Gaussian(0.1)
    )
    with pytest.raises(ValueError, match=r"numbers of groups as they are.*standardise=False"):
        tied.fit(x, NUMBERS)
    tied.set_params(standardise=False).fit(x, MEAN)
    assert np.isfinite(tied.predict(x)).all()


def test_ordered_classes_of_words_are_refused():
    words = np.array(["low", "mid", "high", "top"])[GRADES]
    with pytest.raises(ValueError, match="labels that are numbers, in their order"):
        BayesianClassifier(method=QUICK, likelihood="ordinal").fit(X, words)
