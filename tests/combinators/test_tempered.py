"""Tempered posteriors: on a linear-Gaussian model, T times the covariance around the same mean."""

import jax
import numpy as np
import pytest
from tests.contracts.cases import DATA, KEY, LINEAR, METHODS, NOISE, PROBE, PROBED, X, Y

from posterium import (
    MAP,
    MLP,
    NUTS,
    PBP,
    Ensemble,
    Evidence,
    Exact,
    Gamma,
    Gaussian,
    HalfNormal,
    Laplace,
    LaplacePrior,
    Model,
    Normal,
    RandomisedPrior,
    StartFrom,
    StudentT,
    Subset,
    Tempered,
    as_data,
    cold_posterior_curve,
    fit,
    learn,
    predict,
)
from posterium._struct import replace
from posterium.model import hyper
from posterium.model.tempered import tempered
from posterium.posterior.posterior import GaussianPosterior

T = 0.3
QUICK = ("exact", "laplace")
KNOWN = [
    pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
    for name, case in METHODS.items()
    if case.known and case.model is LINEAR
]


@pytest.mark.parametrize("name", KNOWN)
def test_the_covariance_of_a_linear_model_is_that_many_times_the_exact_one(name):
    case = METHODS[name]
    longer = {"steps": 4000} if name in ("vi", "vi full", "ivon") else {}
    method = Tempered(replace(case.method, **longer), T)
    fitted = fit(KEY, case.model, DATA, method)
    how = "linear" if isinstance(fitted.posterior, GaussianPosterior) else "draws"
    found = predict(KEY, fitted, PROBE, how=how)
    matrix = case.precision * np.eye(3) + _design() / NOISE**2
    mean = np.linalg.solve(matrix, _right() / NOISE**2)
    variance = np.einsum("ni,ij,nj->n", PROBED, T * case.covariance(matrix), PROBED)
    sd = np.sqrt(np.einsum("ni,ij,nj->n", PROBED, np.linalg.inv(matrix), PROBED))
    assert (np.abs(found.mean[:, 0] - PROBED @ mean) <= case.mean_error * sd).all()
    np.testing.assert_allclose(
        found.epistemic_var[:, 0], variance, rtol=case.variance_error, atol=1e-12
    )
    np.testing.assert_allclose(found.aleatoric_var, NOISE**2, rtol=1e-6)


def _design():
    design = np.column_stack([np.ones(len(X)), X])
    return design.T @ design


def _right():
    return np.column_stack([np.ones(len(X)), X]).T @ Y


@pytest.mark.parametrize(
    "model",
    [
        Model(MLP(hidden=(2,)), Normal(2.0), Gaussian(0.7)),
        Model(MLP(hidden=(2,)), LaplacePrior(0.5), StudentT(0.4, 5.0)),
        Model(MLP(hidden=(2,)), Normal(learn(2.0, prior=Gamma())),
              Gaussian(learn(0.7, prior=HalfNormal()))),
    ],
    ids=["of the same kind", "wrapped", "learned"],
)  # fmt: skip
def test_differences_of_the_log_joint_are_divided_by_the_temperature(model):
    """The change of variables of a free hyper-parameter is of its coordinate, and stays."""
    cold, data = tempered(model, T), as_data(X, Y)

    def parts(model, seed):
        key = jax.random.key(seed)
        raws = tuple(raw + 0.1 * seed for raw in hyper.free(model))
        here = hyper.fill(model, raws)
        prior, likelihood, _ = here.log_joint(here.network.init(key, data.x), data)
        return np.array([prior - sum(map(np.sum, raws), 0.0), likelihood])

    for seed in (1, 2):
        expected = (parts(model, seed) - parts(model, 0)) / T
        np.testing.assert_allclose(parts(cold, seed) - parts(cold, 0), expected, rtol=1e-4)


def test_there_is_no_evidence_but_at_temperature_one():
    plain = fit(KEY, LINEAR, DATA, Exact())
    assert fit(KEY, LINEAR, DATA, Tempered(Exact(), 1.0)).log_evidence == plain.log_evidence
    found = fit(KEY, LINEAR, DATA, Tempered(Exact(), T))
    assert np.isnan(found.log_evidence)
    with pytest.raises(ValueError, match="no log evidence"):
        found.posterior.log_evidence(found.model)


def test_free_hyper_parameters_come_back_learned_and_not_tempered():
    model = Model(MLP(hidden=(3,)), LaplacePrior(1.0), Gaussian(learn(0.5)))
    found = fit(KEY, model, DATA, Tempered(MAP(steps=200), T))
    plain = fit(KEY, model, DATA, MAP(steps=200))
    assert type(found.model.prior) is LaplacePrior
    assert type(found.model.likelihood) is Gaussian
    np.testing.assert_allclose(
        found.model.likelihood.scale.value, plain.model.likelihood.scale.value, rtol=1e-3
    )


@pytest.mark.parametrize(
    "around",
    [
        lambda of: Ensemble(of, 2),
        pytest.param(lambda of: StartFrom(of, MAP(steps=5)), marks=pytest.mark.slow),
        pytest.param(
            lambda of: Subset(of, "coefficients", rest=MAP(steps=5)), marks=pytest.mark.slow
        ),
    ],
)
def test_it_goes_through_other_combinators_to_the_method_inside(around):
    outer = fit(KEY, LINEAR, DATA, Tempered(around(Laplace()), T))
    inner = fit(KEY, LINEAR, DATA, around(Tempered(Laplace(), T)))
    first, second = (predict(KEY, one, PROBE) for one in (outer, inner))
    np.testing.assert_array_equal(first.epistemic_var, second.epistemic_var)
    plain = predict(KEY, fit(KEY, LINEAR, DATA, around(Laplace())), PROBE)
    np.testing.assert_allclose(first.epistemic_var, T * plain.epistemic_var, rtol=1e-6)


@pytest.mark.parametrize(
    ("method", "model", "said"),
    [
        (Evidence(Exact()), replace(LINEAR, prior=Normal(learn(1.0))), "without an evidence"),
        (Ensemble(PBP(), 2), LINEAR, "without an evidence"),
        (Laplace(curvature="empirical"), LINEAR, "curvature='ggn'"),
        (RandomisedPrior(Evidence(Exact())), LINEAR, "without an evidence"),
        (RandomisedPrior(MAP()), replace(LINEAR, prior=LaplacePrior(1.0)), "draws"),
        (NUTS(), replace(LINEAR, prior=LaplacePrior(1.0)), "start='network'"),
    ],
)
def test_what_has_no_temperature_is_refused(method, model, said):
    with pytest.raises(ValueError, match=said):
        fit(KEY, model, DATA, Tempered(method, T))


def test_a_correlated_prior_is_refused():
    before = fit(KEY, LINEAR, DATA, Exact()).posterior.as_prior()
    with pytest.raises(ValueError, match="independent weights"):
        fit(KEY, replace(LINEAR, prior=before), DATA, Tempered(Exact(), T))


@pytest.mark.parametrize("temperature", [0.0, -1.0, np.inf, np.nan])
def test_a_temperature_that_is_none_is_refused(temperature):
    with pytest.raises(ValueError, match="finite and above 0"):
        Tempered(MAP(), temperature)


def test_the_curve_compares_temperatures_row_by_row():
    found = cold_posterior_curve(KEY, LINEAR, DATA, Exact(), X[:7], Y[:7], temperatures=(0.1, 10.0))
    np.testing.assert_allclose(found.temperatures, [0.1, 1.0, 10.0])
    np.testing.assert_array_equal(found.difference[1], 0.0)
    cold = predict(KEY, fit(KEY, LINEAR, DATA, Tempered(Exact(), 0.1)), X[:7])
    np.testing.assert_allclose(found.log_density[0], cold.log_prob(Y[:7]).mean(), rtol=1e-9)
    np.testing.assert_allclose(
        found.difference, found.log_density - found.log_density[1], rtol=1e-9, atol=1e-12
    )
