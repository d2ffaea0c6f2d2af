"""The one call: real fits, files, and what is refused."""

import jax
import numpy as np
import pytest
from tests.evaluate.recalibration.cases import classes, gaussian

import posterium as ps
from posterium import (
    BayesianClassifier,
    ConformalisedQuantiles,
    IsotonicRecalibration,
    SplitConformal,
    TemperatureScaling,
    VarianceScaling,
    recalibrate,
)
from posterium.numerics.laws.counts import PoissonLaw
from posterium.numerics.laws.weibull import WeibullLaw
from posterium.posterior.components.laws import LawComponents
from posterium.posterior.predictive import RegressionPredictive

RNG = np.random.default_rng(11)
ONES = np.ones((1, 30, 1))
Y = RNG.normal(size=30)
LABELS = np.arange(30) % 3
PROBS = RNG.dirichlet(np.ones(3), 30)
DENSITIES = [VarianceScaling(), IsotonicRecalibration()]
OF_NUMBERS = [*DENSITIES, SplitConformal(), ConformalisedQuantiles()]
OF_CLASSES = [TemperatureScaling(), IsotonicRecalibration(), SplitConformal("lac")]


@pytest.fixture(scope="module")
def line():
    """Return a fit of a line to a curve, with a noise sd that is too small, and its rows."""
    x = RNG.uniform(-2, 2, (500, 1))
    y = np.sin(2 * x[:, 0]) + 0.3 * RNG.normal(size=500)
    model = ps.Model(ps.Linear(), ps.Normal(1.0, "none"), ps.Gaussian(0.25))
    return ps.fit(jax.random.key(0), model, ps.as_data(x[:100], y[:100]), ps.Exact()), x, y


def inside(ends, y):
    return np.mean((ends[0] <= y) & (y <= ends[1]))


def test_a_fit_gets_intervals_that_hold(line):
    fit, x, y = line
    old, new = (ps.predict(jax.random.key(1), fit, x[rows]).squeezed()
                for rows in (slice(100, 300), slice(300, 500)))  # fmt: skip
    se = np.sqrt(0.9 * 0.1 * (1 / 200 + 1 / 200))
    assert inside(new.interval(0.9), y[300:]) < 0.6
    for how in OF_NUMBERS[1:]:
        calibrated = recalibrate(old, y[100:300], how)(new)
        assert abs(inside(calibrated.interval(0.9), y[300:]) - 0.9) < 4 * se
    scaled = recalibrate(old, y[100:300], VarianceScaling())(new)
    gain = scaled.log_prob(y[300:]) - new.log_prob(y[300:])
    assert gain.mean() > 4 * gain.std(ddof=1) / np.sqrt(200)


def test_a_classifier_gets_sets_of_its_labels():
    x = RNG.normal(size=(90, 2))
    labels = np.array(["no", "yes"])[(x[:, 0] + RNG.normal(size=90) > 0).astype(int)]
    network = ps.Linear(ps.Affine(), outputs=1)
    model = BayesianClassifier(method=ps.MAP(steps=50), network=network)
    model.fit(x[:30], labels[:30])
    index = np.searchsorted(model.classes_, labels)
    old, new = model.predict_dist(x[30:60]), model.predict_dist(x[60:])
    for how in (TemperatureScaling(), IsotonicRecalibration()):
        calibrated = recalibrate(old, index[30:60], how)(new)
        np.testing.assert_allclose(calibrated.probs.sum(axis=1), 1)
    sets = recalibrate(old, index[30:60], SplitConformal())(new).sets(0.8)
    assert sets.shape == (30, 2)
    with pytest.raises(ValueError, match="searchsorted"):
        recalibrate(old, labels[30:60], TemperatureScaling())


@pytest.mark.parametrize("how", OF_NUMBERS, ids=str)
def test_a_calibrator_of_numbers_comes_back_from_a_file(how, tmp_path):
    predictive = gaussian(np.zeros(30), 1.0)
    calibrator = recalibrate(predictive, Y, how)
    ps.save({"calibrator": calibrator}, tmp_path / "a.posterium")
    loaded = ps.load(tmp_path / "a.posterium")["calibrator"]
    found, expected = (c(predictive).interval(0.8) for c in (loaded, calibrator))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("how", OF_CLASSES, ids=str)
def test_a_calibrator_of_classes_comes_back_from_a_file(how, tmp_path):
    predictive = classes(PROBS)
    calibrator = recalibrate(predictive, PROBS.argmax(axis=1) * (LABELS > 0), how)
    ps.save(calibrator, tmp_path / "a.posterium")
    loaded = ps.load(tmp_path / "a.posterium")
    np.testing.assert_array_equal(answer(loaded(predictive)), answer(calibrator(predictive)))


def answer(found):
    return found.sets(0.8) if hasattr(found, "sets") else found.probs


def test_groups_come_back_from_a_file(tmp_path):
    predictive, group = gaussian(np.zeros(30), 1.0), np.array(["a", "b"])[np.arange(30) % 2]
    calibrator = recalibrate(predictive, Y, SplitConformal(), group=group)
    ps.save(calibrator, tmp_path / "a.posterium")
    loaded = ps.load(tmp_path / "a.posterium")
    found, expected = (c(predictive, group=group).interval(0.8) for c in (loaded, calibrator))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("how", [*OF_NUMBERS, *OF_CLASSES], ids=str)
def test_settings_are_records_with_value_equality(how):
    assert how == type(how)(**vars(how))
    assert hash(how) == hash(type(how)(**vars(how)))


def counts():
    law = LawComponents(PoissonLaw(), (2 * ONES,))
    return RegressionPredictive(lambda: [law], (30, 1), squeeze=True)


@pytest.mark.parametrize("how", DENSITIES, ids=str)
def test_counts_are_refused_where_a_density_is_needed(how):
    with pytest.raises(ValueError, match=r"counts is a sum of steps. Take SplitConformal\(\)"):
        recalibrate(counts(), LABELS, how)


@pytest.mark.parametrize("how", OF_NUMBERS[2:], ids=str)
def test_counts_get_intervals(how):
    low, high = recalibrate(counts(), LABELS, how)(counts()).interval(0.8)
    assert (low <= high).all()


@pytest.mark.parametrize("how", OF_NUMBERS, ids=str)
def test_times_that_may_be_cut_off_are_refused(how):
    law = LawComponents(WeibullLaw(), (ONES, ONES))
    times = RegressionPredictive(lambda: [law], (30, 1), columns=2)
    with pytest.raises(ValueError, match="seen whole"):
        recalibrate(times, np.ones((30, 2)), how)


def test_the_wrong_kind_of_predictions_is_refused_with_what_to_take():
    with pytest.raises(TypeError, match=r"Take VarianceScaling\(\)"):
        recalibrate(gaussian(Y, 1.0), LABELS, TemperatureScaling())
    for how in (VarianceScaling(), ConformalisedQuantiles()):
        with pytest.raises(TypeError, match=r"Take TemperatureScaling\(\)"):
            recalibrate(classes(PROBS), LABELS, how)


def test_what_a_recalibration_does_not_take_is_refused():
    for name in ("group", "key"):
        with pytest.raises(TypeError, match=f"VarianceScaling takes no {name}"):
            recalibrate(gaussian(Y, 1.0), Y, VarianceScaling(), **{name: LABELS})


@pytest.mark.parametrize(
    ("y", "complaint"),
    [
        (Y[:5], r"shape \(30, 1\); got \(5,\)"),
        (np.where(np.arange(30) == 7, np.nan, Y), "1 of 30 rows have others, row 7 first"),
    ],
)
def test_targets_that_do_not_fit_are_refused(y, complaint):
    with pytest.raises(ValueError, match=complaint):
        recalibrate(gaussian(Y, 1.0), y, SplitConformal())


def test_classes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="indices 0 to 2; got 1 to 3"):
        recalibrate(classes(PROBS), LABELS + 1, SplitConformal())


def test_weights_and_rows_that_do_not_fit_are_refused():
    for weight in (np.ones(5), -np.ones(30), np.full(30, np.nan)):
        with pytest.raises(ValueError, match="30 finite weights"):
            recalibrate(gaussian(Y, 1.0), Y, SplitConformal(), weight=weight)
    with pytest.raises(ValueError, match="all weights are 0"):
        recalibrate(gaussian(Y, 1.0), Y, SplitConformal(), weight=np.zeros(30))
    with pytest.raises(ValueError, match="at least one row"):
        recalibrate(gaussian(np.zeros((1, 0)), 1.0), np.zeros(0), SplitConformal())
