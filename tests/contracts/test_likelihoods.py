"""Every likelihood: densities that integrate to 1, draws that agree, Fisher information."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate
from tests.contracts.cases import LIKELIHOODS

import posterium

every = pytest.mark.parametrize("name", LIKELIHOODS)
DRAWS = 40_000


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def is_classes(case):
    return case.likelihood.task == "classification"


def repeated(row, count):
    return jnp.broadcast_to(jnp.asarray(row), (count, len(row)))


def draws(case, row):
    return np.asarray(case.likelihood.sample(jax.random.key(5), repeated(row, DRAWS)))


def test_every_public_likelihood_has_a_case():
    public = {n for n, home in posterium._HOME.items() if home.startswith("model.likelihoods.")}
    assert public <= {type(case.likelihood).__name__ for case in LIKELIHOODS.values()}


@every
def test_it_needs_the_outputs_it_says(name):
    case = LIKELIHOODS[name]
    assert case.likelihood.outputs(case.targets) == case.f.shape[1]


@every
def test_its_density_integrates_to_one(name):
    case = LIKELIHOODS[name]
    for row in case.f:
        if is_classes(case):
            y = jnp.arange(case.targets)
            total = np.exp(case.likelihood.log_prob(repeated(row, case.targets), y)).sum()
        else:
            mean, variance = (np.asarray(part)[0] for part in case.likelihood.moments(row[None]))
            grid = [
                m + 12 * np.sqrt(v) * np.linspace(-1, 1, 1201)
                for m, v in zip(mean, variance, strict=True)
            ]
            y = np.stack(np.meshgrid(*grid, indexing="ij"), -1)
            f = np.broadcast_to(row, (*y.shape[:-1], len(row)))
            log_prob = (
                jax.vmap(case.likelihood.log_prob) if y.ndim > 2 else case.likelihood.log_prob
            )
            total = np.exp(log_prob(f, y))
            for axis in reversed(grid):
                total = integrate.simpson(total, x=axis, axis=-1)
        assert abs(total - 1) < 1e-9


@every
def test_draws_agree_with_the_moments(name):
    case = LIKELIHOODS[name]
    for row in case.f:
        y = draws(case, row)
        if is_classes(case):
            p = np.exp(case.likelihood.log_probs(jnp.asarray(row)[None]))[0]
            share = np.bincount(y, minlength=case.targets) / DRAWS
            assert (np.abs(share - p) < 5 * np.sqrt(p * (1 - p) / DRAWS)).all()
        else:
            mean, variance = (np.asarray(part)[0] for part in case.likelihood.moments(row[None]))
            assert (np.abs(y.mean(0) - mean) < 5 * np.sqrt(variance / DRAWS)).all()
            assert (np.abs(y.var(0) / variance - 1) < 5 * np.sqrt(2 / DRAWS)).all()


@every
def test_fisher_is_minus_the_expected_hessian(name):
    case = LIKELIHOODS[name]

    def one(f, y):
        return case.likelihood.log_prob(f[None], jnp.asarray(y)[None])[0]

    slopes, hessians = (jax.jit(jax.vmap(make(one), (None, 0))) for make in (jax.grad, jax.hessian))
    fisher = np.asarray(case.likelihood.fisher(jnp.asarray(case.f)))
    for row, expected in zip(case.f, fisher, strict=True):
        y = draws(case, row)
        each = -np.asarray(hessians(row, y))
        error = each.std(0) / np.sqrt(DRAWS) + 1e-9
        assert (np.abs(each.mean(0) - expected) < 5 * error).all()
        score = np.asarray(slopes(row, y))
        outer = score[:, :, None] * score[:, None, :]
        assert (np.abs(outer.mean(0) - expected) < 5 * outer.std(0) / np.sqrt(DRAWS)).all()


@every
def test_the_log_density_is_finite_far_out(name):
    case = LIKELIHOODS[name]
    for f in (-300.0, 300.0):
        rows = jnp.full((2, case.f.shape[1]), f)
        y = jnp.arange(2) if is_classes(case) else jnp.zeros((2, case.targets))
        value, slope = jax.value_and_grad(lambda r, y=y: case.likelihood.log_prob(r, y).sum())(rows)
        assert np.isfinite(value)
        assert np.isfinite(slope).all()


def test_bernoulli_is_categorical_with_one_logit_fixed():
    f = jnp.linspace(-3, 3, 7)[:, None]
    two = jnp.concatenate([jnp.zeros_like(f), f], 1)
    y = jnp.arange(7) % 2
    one = posterium.Bernoulli().log_prob(f, y)
    assert np.allclose(one, posterium.Categorical().log_prob(two, y), rtol=1e-13)
    assert np.allclose(posterium.Bernoulli().log_probs(f), posterium.Categorical().log_probs(two))


def test_bernoulli_refuses_three_classes():
    with pytest.raises(ValueError, match=r"expects 2 classes; got 3. Use Categorical\(\)"):
        posterium.Bernoulli().outputs(3)
