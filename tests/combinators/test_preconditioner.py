"""A Laplace approximation as the start and the mass of samplers."""

import jax
import numpy as np
import pytest
from scipy import stats

from posterium import (
    HMC,
    MAP,
    MLP,
    NUTS,
    Ensemble,
    Exact,
    Gaussian,
    HalfNormal,
    Laplace,
    Linear,
    Model,
    Normal,
    StartFrom,
    as_data,
    fit,
    learn,
)
from posterium.numerics import trees

KEY = jax.random.key(4)
RNG = np.random.default_rng(9)
X = RNG.normal(size=(30, 1)) * [1.0, 1.0, 100.0] + [0.0, 0.05, 0.0] * RNG.normal(size=(30, 3))
Y = X @ [1.0, 2.0, 0.01] + 0.5 + 0.3 * RNG.normal(size=30)
DATA = as_data(X, Y)
LINE = Model(Linear(), Normal(0.1, "none"), Gaussian(0.3))
FREE = Model(Linear(), Normal(0.1, "none"), Gaussian(learn(0.3, prior=HalfNormal(1.0))))
MODE = MAP(steps=1, polish="newton")
DRAWS = 400
QUICK = NUTS(warmup=40, draws=DRAWS, mass="start", modes=0)


@pytest.fixture(scope="module")
def exact():
    return fit(KEY, LINE, DATA, Exact())


@pytest.fixture(scope="module")
def quick():
    return fit(KEY, LINE, DATA, StartFrom(QUICK, Laplace(at=MODE)))


def whitened(found, exact):
    """Return all draws in coordinates in which the exact posterior is a unit normal."""
    draws = found.posterior.draws.weights.params["coefficients"].reshape(-1, 4)
    mean = exact.posterior.mean.params["coefficients"].ravel()
    return np.linalg.solve(exact.posterior.covariance.factor, (draws - mean).T)


def test_forty_transitions_of_warm_up_sample_an_ill_conditioned_gaussian(quick, exact):
    assert np.linalg.cond(exact.posterior.covariance.dense()) > 1e4
    z = whitened(quick, exact)
    size = 4 * DRAWS / 3
    assert quick.verdict.status == "ok"
    assert np.abs(z.mean(axis=1)).max() < 5 / np.sqrt(size)
    assert np.abs(np.cov(z) - np.eye(4)).max() < 5 * np.sqrt(2 / size)


@pytest.mark.slow
def test_its_trajectories_are_short_from_the_first_on(quick):
    plain = fit(KEY, LINE, DATA, StartFrom(NUTS(warmup=40, draws=DRAWS, modes=0), Laplace(at=MODE)))
    steps = lambda found, phase: found.info[phase]["n_steps"][10:].mean()  # noqa: E731
    assert steps(quick, "warmup") < 8
    assert steps(quick, "sampling") < 8
    assert steps(plain, "warmup") > 3 * steps(quick, "warmup")
    assert steps(plain, "sampling") > 3 * steps(quick, "sampling")


@pytest.mark.slow
def test_chains_start_at_draws_of_the_gaussian(exact):
    found = fit(KEY, LINE, DATA, StartFrom(HMC(warmup=1, draws=1, chains=64), Laplace(at=MODE)))
    best = exact.model.log_joint
    with jax.enable_x64(True):
        top = float(sum(best(jax.tree.map(np.asarray, exact.posterior.mean), DATA)[:2]))
    lost = top - found.info["warmup"]["log_joint"][0]
    assert (lost > 0).all()
    assert abs(lost.mean() - 2.0) < 5 * np.sqrt(2 / 64)


@pytest.mark.slow
def test_a_sampled_noise_moves_beside_the_weights():
    """Its posterior mean is that of the exact evidence times the prior, by quadrature."""
    method = StartFrom(NUTS(warmup=150, draws=DRAWS, mass="start", modes=0), Laplace(at=MODE))
    found = fit(KEY, FREE, DATA, method)
    noise = np.exp(found.posterior.draws.raws[0])
    design = np.column_stack([np.ones(30), X])
    at = np.linspace(0.15, 0.8, 200)
    wide = design @ design.T / 0.1
    log = [stats.multivariate_normal.logpdf(Y, None, wide + s**2 * np.eye(30)) for s in at]
    weight = np.exp(log - np.max(log)) * stats.halfnorm.pdf(at)
    mean = np.sum(weight * at) / np.sum(weight)
    assert found.verdict.status == "ok"
    assert abs(noise.mean() - mean) < 4 * noise.std() / np.sqrt(400)


@pytest.mark.slow
def test_members_of_an_ensemble_give_each_chain_a_mass_of_its_own():
    model = Model(MLP(hidden=(3,), activation="tanh"), Normal(1.0), Gaussian(0.3))
    data = as_data(X / X.std(axis=0), Y)
    start = Ensemble(Laplace(structure="kronecker", at=MAP(steps=100)), 2)
    method = StartFrom(HMC(warmup=20, draws=20, chains=3, leapfrog=4, mass="start"), start)
    found = fit(KEY, model, data, method)
    assert found.posterior.draws.weights.params["layers"][0]["kernel"].shape == (3, 20, 3, 3)
    assert np.isfinite(found.info["sampling"]["log_joint"]).all()
    weights = trees.index(found.posterior.draws.weights, (slice(None), -1))
    with jax.enable_x64(True):
        at_end = [sum(model.log_joint(trees.index(weights, i), data)[:2]) for i in range(3)]
    assert np.allclose(at_end, found.info["sampling"]["log_joint"][-1], rtol=1e-4)


@pytest.mark.parametrize("method", [QUICK, StartFrom(QUICK, MODE)])
def test_a_mass_of_a_start_that_has_none_is_refused(method):
    with pytest.raises(ValueError, match="expects chains that start from a Gaussian"):
        fit(KEY, LINE, DATA, method)
