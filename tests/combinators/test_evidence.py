import jax
import numpy as np
import pytest
from scipy import optimize, stats
from tests.driver.problems import KEY

from posterium import (
    MAP,
    Ensemble,
    Evidence,
    Exact,
    Fourier,
    Gaussian,
    HalfNormal,
    Linear,
    Model,
    Normal,
    as_data,
    fit,
    learn,
)
from posterium.model import hyper

RNG = np.random.default_rng(8)
X = RNG.normal(size=(30, 2))
Y = X @ [1.0, -0.5] + 0.2 + 0.3 * RNG.normal(size=30)
DATA = as_data(X, Y)
DESIGN = np.column_stack([np.ones(30), X])


def log_evidence(precision, noise):
    """Return log p(y) in nats, by SciPy in the space of the rows."""
    covariance = noise**2 * np.eye(30) + DESIGN @ DESIGN.T / precision
    return stats.multivariate_normal.logpdf(Y, np.zeros(30), covariance)


def model(precision=1.0, noise=1.0, **prior):
    return Model(Linear(), Normal(learn(precision), "none"), Gaussian(learn(noise, **prior)))


def values(found):
    return float(hyper.value(found.model.prior.precision)), float(
        hyper.value(found.model.likelihood.scale)
    )


def slope(found):
    """Return the gradient of the log evidence in the coordinates, where the fit ended."""
    with jax.enable_x64(True):
        free = hyper.free(found.model)
        at = lambda raws: found.posterior.log_evidence(hyper.fill(found.model, raws))  # noqa: E731
        return np.array(jax.grad(at)(free))


@pytest.mark.parametrize("start", [(1.0, 1.0), (100.0, 0.01), (0.01, 30.0)])
def test_the_end_is_the_maximum_from_anywhere(start):
    found = fit(KEY, model(*start), DATA, Evidence(Exact()))
    best = optimize.minimize(lambda r: -log_evidence(*np.exp(r)), [0.0, 0.0], tol=1e-12)
    assert abs(found.log_evidence + best.fun) < 1e-8
    assert np.abs(np.log(values(found)) - best.x).max() < 1e-4
    assert np.linalg.norm(slope(found)) < 1e-6
    assert found.verdict.status == "ok"


def test_the_evidence_reported_is_that_of_the_model_as_learned():
    found = fit(KEY, model(), DATA, Evidence(Exact()))
    assert abs(found.log_evidence - log_evidence(*values(found))) < 1e-9


def test_the_gradient_is_that_of_differences():
    found = fit(KEY, Model(Linear(), Normal(2.0, "none"), Gaussian(0.4)), DATA, Exact())
    with jax.enable_x64(True):
        free = model(2.0, 0.4)
        at = lambda raws: found.posterior.log_evidence(hyper.fill(free, raws))  # noqa: E731
        got = np.array(jax.grad(at)(hyper.free(free)))
    logs = np.log([2.0, 0.4])
    for i in range(2):
        step = 1e-5 * np.eye(2)[i]
        up, down = log_evidence(*np.exp(logs + step)), log_evidence(*np.exp(logs - step))
        assert abs(got[i] - (up - down) / 2e-5) < 1e-6 * abs(got[i])


def test_a_hyper_prior_takes_part_with_its_jacobian():
    found = fit(KEY, model(prior=HalfNormal(0.05)), DATA, Evidence(Exact()))
    objective = lambda r: -(log_evidence(*np.exp(r)) - 0.5 * np.exp(2 * r[1]) / 0.05**2 + r[1])  # noqa: E731
    best = optimize.minimize(objective, [0.0, -1.0], tol=1e-12)
    assert np.abs(np.log(values(found)) - best.x).max() < 1e-4


@pytest.mark.slow
def test_the_scale_of_a_basis_is_learned_too():
    free = Model(Linear(Fourier(40, learn(1.0))), Normal(1.0, "none"), Gaussian(0.3))
    found = fit(KEY, free, DATA, Evidence(Exact()))
    assert np.abs(slope(found)).max() < 1e-6
    assert found.model.network.features.scale.value != 1.0


def test_a_noise_that_the_data_do_not_bound_is_said_to_run_away():
    exact = as_data(X, X @ [1.0, 2.0])
    found = fit(KEY, model(), exact, Evidence(Exact()))
    assert found.verdict.status in ("warned", "failed")
    assert found.verdict.advice


@pytest.mark.parametrize(
    ("believed", "method", "said"),
    [
        (Model(Linear(), Normal(), Gaussian(0.3)), Evidence(Exact()), "one has none"),
        (Model(Linear(), Normal(), Gaussian()), Evidence(MAP(steps=2)), "ends with Point"),
        (Model(Linear(), Normal(), Gaussian()), Evidence(Ensemble(Exact())), r"Ensemble\(Evidence"),
    ],
)
def test_what_has_no_evidence_is_refused(believed, method, said):
    with pytest.raises(ValueError, match=said):
        fit(KEY, believed, DATA, method)


@pytest.mark.parametrize("settings", [{"steps": 0}, {"rounds": 0}])
def test_a_tuning_of_no_steps_is_refused(settings):
    with pytest.raises(ValueError, match="rounds and steps must be at least 1"):
        Evidence(Exact(), **settings)


def test_a_precision_that_leaps_to_its_bound_is_said_to_run_away():
    model = Model(Linear(), Normal(learn(1.0)), Gaussian(1.0))
    found = fit(jax.random.key(0), model, as_data(X, 0 * Y), Evidence(Exact()))
    assert found.verdict.status == "warned"
    assert "ran to the bound" in found.verdict.reasons[0]
