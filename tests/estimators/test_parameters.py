"""Parameters of estimators: names, records, their fields, and scikit-learn's tools over them."""

import copy

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from posterium import (
    MAP,
    MLP,
    BayesianClassifier,
    BayesianRegressor,
    Ensemble,
    Exact,
    Fit,
    Flat,
    Linear,
    Normal,
    StartFrom,
    Verdict,
    learn,
)
from posterium.combinators import catalogue
from posterium.combinators.resolve import resolve

RNG = np.random.default_rng(3)
X = RNG.normal(size=(30, 2))
Y = X @ [1.0, -2.0] + 0.3 * RNG.normal(size=30)
NESTED = BayesianRegressor(method=Ensemble(MAP(steps=30), 3), network=MLP(hidden=(4,)))
EXACT = BayesianRegressor(method=Exact(), prior=Normal(1.0, "none"))


def test_the_fields_of_records_are_parameters():
    params = NESTED.get_params()
    assert params["method__members"] == 3
    assert params["method__of__steps"] == 30
    assert params["network__hidden"] == (4,)
    assert "method__of__steps" not in NESTED.get_params(deep=False)


def test_a_field_is_set_in_a_copy_of_the_record():
    record = Ensemble(MAP(steps=30), 3)
    model = BayesianRegressor(method=record)
    model.set_params(method__of__steps=7, method__members=2, draws=5)
    assert (model.method.of.steps, model.method.members, model.draws) == (7, 2, 5)
    assert (record.of.steps, record.members) == (30, 3)


def test_a_record_is_set_before_its_fields_whatever_the_order():
    model = BayesianRegressor().set_params(method__of__steps=7, method=Ensemble(MAP(), 2))
    assert model.method == Ensemble(MAP(steps=7), 2)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("method__of__stepps", "Invalid parameter 'stepps' for MAP"),
        ("method__members__count", "Expected 'members' of Ensemble to be a record"),
        ("prior__precision", "expected prior to be a record"),
        ("methods__of", "Invalid parameter 'methods' for estimator"),
    ],
)
def test_a_field_that_is_not_there_is_refused(path, said):
    with pytest.raises(ValueError, match=said):
        clone(NESTED).set_params(**{path: 1})


def test_a_finished_fit_is_no_record_of_settings():
    found = Fit(None, None, {}, Verdict())
    params = BayesianRegressor(method=StartFrom(MAP(), found)).get_params()
    assert params["method__start"] is found
    assert not [name for name in params if name.startswith("method__start__")]


def test_a_clone_has_equal_records_and_no_fit():
    model = clone(EXACT).fit(X, Y)
    twin = clone(model)
    assert twin.method == model.method
    assert twin.prior == model.prior
    assert not hasattr(twin, "fitted_")
    free = BayesianRegressor(prior=Normal(learn(2.0)))
    assert float(clone(free).prior.precision.value) == pytest.approx(2)
    assert copy.deepcopy(model).predict(X).tobytes() == model.predict(X).tobytes()


def test_a_search_over_a_field_of_a_record_finds_the_better_one():
    grid = {"bayesianregressor__prior__precision": [1e-3, 1e6]}
    search = GridSearchCV(make_pipeline(StandardScaler(), EXACT), grid, cv=3).fit(X, Y)
    assert search.best_params_ == {"bayesianregressor__prior__precision": 1e-3}
    assert search.best_estimator_[-1].prior.precision == 1e-3
    assert search.score(X, Y) > 0.9


def test_cross_validation_scores_each_part():
    assert (cross_val_score(EXACT, X, Y, cv=3) > 0.8).all()


def test_estimators_can_be_shown():
    assert "MAP(steps=30)" in repr(NESTED)
    assert "Ensemble" in NESTED._repr_html_()


def parts(**settings):
    given = {"network": None, "prior": None, "likelihood": None} | settings
    task = given.pop("task", "regression")
    method = given.pop("method", "map")
    _, model = resolve(task, method, *given.values(), rows=30, targets=2)
    return model


def test_names_stand_for_networks_and_priors():
    assert parts(network="mlp").network == parts().network
    assert parts(network="linear", likelihood="gaussian").network == Linear(outputs=2)
    assert parts(prior="normal").prior == parts().prior
    assert parts(prior="flat").prior == Flat()
    assert parts(method="exact", network="mlp").network.hidden == catalogue.SHALLOW


def test_a_network_gets_the_outputs_that_likelihood_and_target_need():
    given = MLP(hidden=(4,))
    assert parts(network=given, likelihood="heteroscedastic").network.outputs == 4
    assert parts(network=given, likelihood="gaussian").network.outputs == 2
    assert parts(network=given, task="classification").network.outputs == 1
    assert parts(network=Linear(), task="classification", likelihood="categorical").network == (
        Linear(outputs=2)
    )


@pytest.mark.parametrize("role", ["network", "prior"])
def test_an_unknown_name_is_refused_with_those_there_are(role):
    with pytest.raises(ValueError, match=f"{role} must be one of .*or a record; got 'wide'"):
        BayesianRegressor(**{role: "wide"}).fit(X, Y)


def test_a_classifier_with_names_fits():
    model = BayesianClassifier(
        method=MAP(steps=200, learning_rate=0.05), network="linear", prior="normal",
        likelihood="categorical",
    )  # fmt: skip
    assert model.fit(X, Y > 0).score(X, Y > 0) > 0.8
