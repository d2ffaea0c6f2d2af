import copy
import pickle
from typing import ClassVar

import joblib
import numpy as np
import pytest
from sklearn.base import clone

from posterium import MAP, BayesianClassifier, BayesianRegressor, Ensemble, load
from posterium._struct import struct
from posterium.estimators import ConvergenceWarning, FitFailed
from posterium.phases.descent import Descent
from posterium.phases.polish import Polish

RNG = np.random.default_rng(6)
X = RNG.normal(size=(40, 2)) * [3.0, 0.1] + [10.0, -5.0]
Y = 100 + 5 * X[:, 0] + 20 * X[:, 1] + RNG.normal(size=40)
LABELS = np.where(X[:, 0] > 10, "high", "low")
THREE = np.array(["c", "a", "b"])[np.digitize(X[:, 0], [9, 11])]
QUICK = Ensemble(MAP(steps=150, learning_rate=0.05), 2)


@struct
class Short:
    """A descent and a polish of one step each: never at the mode."""

    precision: ClassVar[str] = "float64"

    def phases(self, model, data):
        return Descent(steps=1), Polish(steps=1)


def regressor(**settings):
    return BayesianRegressor(method=QUICK, **settings)


def classifier(**settings):
    return BayesianClassifier(method=QUICK, **settings)


PROBE = X[::7]


def said(model):
    if isinstance(model, BayesianClassifier):
        return model.predict_proba(PROBE)
    return np.stack(model.predict(PROBE, return_std=True))


MODELS = {
    "regressor": (regressor, Y),
    "classifier": (classifier, LABELS),
    "three": (classifier, THREE),
}
every = pytest.mark.parametrize("name", MODELS)


@every
def test_copies_and_files_answer_alike_before_and_after_the_first_prediction(name, tmp_path):
    make, y = MODELS[name]
    model = make().fit(X, y)
    joblib.dump(model, tmp_path / "joblib")
    twins = [
        pickle.loads(pickle.dumps(model)),
        copy.deepcopy(model),
        joblib.load(tmp_path / "joblib"),
    ]
    expected = said(model)
    twins += [pickle.loads(pickle.dumps(model)), copy.deepcopy(model), clone(model).fit(X, y)]
    for twin in twins:
        assert np.array_equal(said(twin), expected)
    model.save(tmp_path / "model")
    loaded = load(tmp_path / "model")["model"].predict(PROBE)
    mean = loaded.probs if name != "regressor" else np.stack([loaded.mean, loaded.sd])
    assert np.array_equal(mean, expected)


@every
def test_a_second_fit_is_as_the_first_and_another_seed_is_not(name):
    make, y = MODELS[name]
    model = make().fit(X, y)
    first = said(model)
    assert np.array_equal(said(model.fit(X, y)), first)
    assert not np.array_equal(said(make(random_state=1).fit(X, y)), first)


def test_predictions_are_in_the_units_of_the_target():
    model = regressor().fit(X, Y)
    moved = regressor().fit(X, 1000 * Y - 7)
    mean, sd = model.predict(PROBE, return_std=True)
    assert model.score(X, Y) > 0.9
    assert np.allclose(moved.predict(PROBE), 1000 * mean - 7, rtol=1e-3)
    assert np.allclose(moved.predict(PROBE, return_std=True)[1], 1000 * sd, rtol=1e-2)
    gap = model.log_score(X, Y) - moved.log_score(X, 1000 * Y - 7)
    assert abs(gap - np.log(1000)) < 1e-2


def test_the_interval_holds_its_share():
    model = regressor().fit(X, Y)
    low, high = model.predict_interval(X, level=0.9)
    assert 0.75 < np.mean((low <= Y) & (high >= Y)) <= 1
    wide = model.predict_interval(X, level=0.99)
    assert (wide[0] < low).all()
    assert (wide[1] > high).all()


def test_classes_come_back_as_labels_in_their_order():
    model = classifier().fit(X, THREE)
    assert model.classes_.tolist() == ["a", "b", "c"]
    probs = model.predict_proba(X)
    assert probs.shape == (40, 3)
    assert np.allclose(probs.sum(1), 1, atol=1e-12)
    assert (model.predict(X) == model.classes_[probs.argmax(1)]).all()
    assert model.score(X, THREE) > 0.85
    index = np.searchsorted(model.classes_, THREE)
    expected = np.log(probs[np.arange(40), index]).mean()
    assert model.log_score(X, THREE) == pytest.approx(expected, rel=1e-6)  # in float32


def test_a_column_of_two_targets_keeps_its_shape():
    both = np.column_stack([Y, -Y])
    mean, sd = regressor().fit(X, both).predict(PROBE, return_std=True)
    assert mean.shape == sd.shape == (len(PROBE), 2)


def test_repeated_rows_are_rows_of_weight_two():
    weight = np.ones(40)
    weight[:7] = 2
    repeated = np.concatenate([np.arange(40), np.arange(7)])
    exact = BayesianRegressor(method="exact")
    one = exact.fit(X, Y, sample_weight=weight).predict(PROBE, return_std=True)
    other = clone(exact).fit(X[repeated], Y[repeated]).predict(PROBE, return_std=True)
    assert np.allclose(one, other, rtol=1e-8)


def test_inputs_are_left_alone():
    x, y = X.copy(), Y.copy()
    regressor().fit(x, y).predict(x)
    assert np.array_equal(x, X)
    assert np.array_equal(y, Y)


def test_a_failed_fit_raises_and_a_doubtful_one_warns():
    wild = MAP(steps=30, learning_rate=1e30, optimiser="sgd")
    with pytest.raises(FitFailed, match="not finite at step"):
        BayesianRegressor(method=wild).fit(X, Y)
    with pytest.warns(ConvergenceWarning, match="still gaining"):
        BayesianRegressor(method=Short(), likelihood="gaussian").fit(X, Y)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"method": "maximum"}, "method for regression must be one of"),
        ({"method": 3}, "or a method such as MAP"),
        ({"likelihood": "cauchy"}, "likelihood for regression must be one of"),
        ({"random_state": -1}, "must not be negative"),
    ],
)
def test_unknown_settings_are_refused_with_those_there_are(settings, said):
    with pytest.raises(ValueError, match=said):
        BayesianRegressor(**settings).fit(X, Y)


def test_a_classifier_refuses_what_it_cannot_do():
    with pytest.raises(ValueError, match="method for classification must be one of"):
        BayesianClassifier(method="exact").fit(X, LABELS)
    with pytest.raises(ValueError, match="at least 2 classes"):
        classifier().fit(X, np.full(40, "one"))


def test_a_fit_is_there_before_anything_is_asked():
    from sklearn.exceptions import NotFittedError

    with pytest.raises(NotFittedError):
        regressor().predict(X)


def test_a_label_that_was_not_fitted_is_refused_not_scored_as_another():
    model = classifier().fit(X, LABELS)
    with pytest.raises(ValueError, match="Expected labels among high, low; got kind"):
        model.log_score(X[:2], ["high", "kind"])
    with pytest.raises(ValueError, match="got up"):
        model.log_score(X[:2], ["up", "low"])


def test_a_saved_estimator_comes_back_as_one(tmp_path):
    x = np.linspace(-1, 1, 30)[:, None]
    y = np.where(x[:, 0] + 0.3 * np.cos(9 * x[:, 0]) > 0, "up", "down")
    model = BayesianClassifier(method=MAP(steps=20)).fit(x, y)
    model.save(tmp_path / "model.posterium")
    again = BayesianClassifier.load(tmp_path / "model.posterium")
    assert np.array_equal(again.predict(x), model.predict(x))
    assert np.array_equal(again.predict_proba(x), model.predict_proba(x))
    with pytest.raises(ValueError, match="Expected a model for regression"):
        BayesianRegressor.load(tmp_path / "model.posterium")


@pytest.mark.parametrize("setting", [{"learning_rate": -1.0}, {"clip": -1.0}, {"warmup": 1.0}])
def test_an_optimiser_that_cannot_descend_is_refused(setting):
    x = np.linspace(-1, 1, 30)[:, None]
    with pytest.raises(ValueError, match=next(iter(setting))):
        BayesianRegressor(method=MAP(steps=20, **setting)).fit(x, x[:, 0])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vi", "ivon"])
@pytest.mark.filterwarnings("ignore::posterium.estimators.ConvergenceWarning")
def test_variational_classes_do_not_fall_back_to_the_prior(name):
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(350, 6))
    y = 5 * x[:, 0] ** 4 + 0.3 * np.sin(9 * x[:, 1])
    labels = y > np.median(y)
    found = BayesianClassifier(method=name, random_state=0).fit(x[:250], labels[:250])
    assert found.score(x[250:], labels[250:]) > 0.85
