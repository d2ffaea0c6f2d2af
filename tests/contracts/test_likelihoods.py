"""Every likelihood: densities that integrate to 1, draws that agree, Fisher information."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.contracts.cases import LIKELIHOODS

import posterium

every = pytest.mark.parametrize("name", LIKELIHOODS)
proper = pytest.mark.parametrize("name", [n for n, case in LIKELIHOODS.items() if case.proper])
QUICK = ("Gaussian", "HeteroscedasticGaussian", "Bernoulli", "Categorical", "LaplaceNoise")
drawn = pytest.mark.parametrize(
    "name",
    [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in LIKELIHOODS],
)
"""Cases of tests with many draws, whose compilation is long for most."""
DRAWS = 40_000
COUNTS = np.arange(400.0)
LINE = np.sinh(np.linspace(-25, 25, 40_001))
"""Nodes that reach 1e10, where a Student-t density has ended too."""


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def is_classes(case):
    return case.likelihood.task == "classification"


def is_counts(case):
    return getattr(case.likelihood, "units", "") == "fixed"


def grid(case):
    """Return every target there is, or nodes, and what each counts in a sum."""
    if is_classes(case):
        return np.arange(case.targets), np.ones(case.targets)
    line = COUNTS if is_counts(case) else LINE
    if case.targets == 2 and getattr(case.likelihood, "censored", False):
        line = np.exp(np.linspace(-30, 5, 40_001))
        return np.c_[line, np.ones_like(line)], line * 35 / 40_000
    share = np.ones(len(line)) if is_counts(case) else np.sqrt(1 + line**2) * 50 / 40_000
    return line[:, None], share


def one_column(case, row):
    """Return the log density of one target column, as the others are independent of it."""
    y, share = grid(case)
    if case.targets == 1 or is_classes(case) or y.shape[1] == 2:
        return case.likelihood.log_prob(repeated(row, len(y)), jnp.asarray(y)), share
    alone = jax.tree.map(lambda leaf: leaf[:1] if np.ndim(leaf) else leaf, case.likelihood)
    return alone.log_prob(repeated(row[:1], len(y)), jnp.asarray(y)), share


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


@proper
def test_its_density_integrates_to_one(name):
    case = LIKELIHOODS[name]
    for row in case.f:
        log_prob, share = one_column(case, row)
        assert abs(np.exp(log_prob) @ share - 1) < (1e-9 if case.smooth else 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in LIKELIHOODS if "two columns" in n])
def test_several_targets_are_independent(name):
    case = LIKELIHOODS[name]
    y = draws(case, case.f[0])[:5]
    parts = []
    for k in range(case.targets):
        alone = jax.tree.map(
            lambda leaf, k=k: leaf[k : k + 1] if np.ndim(leaf) else leaf, case.likelihood
        )
        row = case.f[0].reshape(-1, case.targets)[:, k]
        parts.append(alone.log_prob(repeated(row, 5), jnp.asarray(y[:, k : k + 1])))
    whole = case.likelihood.log_prob(repeated(case.f[0], 5), jnp.asarray(y))
    assert np.allclose(sum(parts), whole, rtol=1e-12)


@drawn
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
            y = y[:, : len(mean)]
            assert (np.abs(y.mean(0) - mean) < 5 * np.sqrt(variance / DRAWS)).all()
            squares = (y - mean) ** 2
            assert (np.abs(squares.mean(0) - variance) < 5 * squares.std(0) / DRAWS**0.5).all()


@drawn
def test_fisher_is_the_expected_outer_product_of_the_score(name):
    case = LIKELIHOODS[name]
    if not case.proper:
        pytest.skip("no density of y")

    def one(f, y):
        return case.likelihood.log_prob(f[None], jnp.asarray(y)[None])[0]

    slopes, hessians = (jax.jit(jax.vmap(make(one), (None, 0))) for make in (jax.grad, jax.hessian))
    fisher = np.asarray(case.likelihood.fisher(jnp.asarray(case.f)))
    for row, expected in zip(case.f, fisher, strict=True):
        y = draws(case, row)
        score = np.asarray(slopes(row, y))
        outer = score[:, :, None] * score[:, None, :]
        assert (np.abs(outer.mean(0) - expected) < 5 * outer.std(0) / np.sqrt(DRAWS) + 1e-9).all()
        if case.smooth:  # then it is minus the expected Hessian too
            each = -np.asarray(hessians(row, y))
            error = each.std(0) / np.sqrt(DRAWS) + 1e-9
            assert (np.abs(each.mean(0) - expected) < 5 * error).all()


@proper
def test_fisher_is_what_quadrature_gives(name):
    case = LIKELIHOODS[name]
    if case.targets > 1 and not is_classes(case) and not hasattr(case.likelihood, "censored"):
        pytest.skip("one target at a time")
    y, share = grid(case)

    @jax.jit
    def expected(row):
        f = repeated(row, len(y))
        log_prob, vjp = jax.vjp(lambda f: case.likelihood.log_prob(f, jnp.asarray(y)), f)
        score = vjp(jnp.ones(len(y)))[0]
        weight = jnp.exp(log_prob) * share
        return jnp.einsum("n,ni,nj->ij", weight, score, score)

    for row in case.f:
        fisher = np.asarray(case.likelihood.fisher(jnp.asarray(row)[None]))[0]
        tolerance = (1e-6 if case.smooth else 2e-3) * np.abs(fisher).max()
        assert np.allclose(fisher, expected(row), rtol=0, atol=tolerance)


@every
def test_the_log_density_is_finite_far_out(name):
    case = LIKELIHOODS[name]
    for f in (-300.0, 300.0):
        rows = jnp.full((2, case.f.shape[1]), f)
        y = jnp.arange(2) if is_classes(case) else jnp.ones((2, case.targets))
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
