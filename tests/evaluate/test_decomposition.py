"""The split of uncertainty: against integrals under every likelihood, errors against replicates."""

import functools
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import digamma, entr
from tests.contracts.cases import LIKELIHOODS
from tests.contracts.test_likelihoods import grid, is_classes, one_column
from tests.evaluate.simulated import autoregressive

from posterium import Exact, Gaussian, Linear, Model, Normal, as_data, fit, predict
from posterium.evaluate.decomposition import decompose
from posterium.numerics.laws.student_t import StudentTLaw
from posterium.posterior.components import kinds
from posterium.posterior.components.classes import ClassComponents
from posterium.posterior.components.gaussian import GaussianComponents
from posterium.posterior.components.laws import LawComponents
from posterium.posterior.functions import described
from posterium.posterior.predictive import ClassPredictive, RegressionPredictive
from posterium.posterior.sampling import Sampling

RNG = np.random.default_rng(11)
S = 4
ROWS = 1000
"""Replicates, a row each, in tests of errors."""
QUICK = ("Gaussian", "Categorical", "StudentT", "HeteroscedasticLaplace", "Poisson", "Weibull")
"""Likelihoods of the quick tests; the compilation of most others is long."""


def named(cases):
    """Return the likelihoods as cases, most of them slow."""
    slow = pytest.mark.slow
    return pytest.mark.parametrize(
        "name", [n if n in QUICK else pytest.param(n, marks=slow) for n in cases]
    )


every = named(LIKELIHOODS)
continuous = named(n for n, case in LIKELIHOODS.items() if case.proper and not is_classes(case))


def outputs_of(case):
    """Return outputs of the network under a few draws, (s, n, k)."""
    jitter = np.random.default_rng(5).normal(0, 0.4, (S, *case.f.shape))
    return case.f[None] + jitter


def predictive_of(case):
    """Return what `predict` would make of these draws."""
    likelihood = case.likelihood
    with jax.enable_x64(True):
        parts = [described(SimpleNamespace(likelihood=likelihood), jnp.asarray(f))
                 for f in outputs_of(case)]  # fmt: skip
    block = kinds.components(likelihood, [np.stack(part) for part in zip(*parts, strict=True)])
    made = ClassPredictive if is_classes(case) else RegressionPredictive
    return made(lambda: [block], block.shape[1:])


@functools.cache
def densities(name):
    """Return nodes, their shares (y,), and densities of the first column, (s, n, y)."""
    case = LIKELIHOODS[name]
    with jax.enable_x64(True):
        each = [[one_column(case, row) for row in f] for f in outputs_of(case)]
        nodes = np.asarray(grid(case)[0])
    share = np.asarray(each[0][0][1])
    density = np.exp([[np.asarray(one) for one, _ in row] for row in each])
    return nodes if nodes.ndim == 1 else nodes[:, 0], share, density


@every
def test_variances_are_those_of_the_laws_integrated(name):
    case = LIKELIHOODS[name]
    found = decompose(predictive_of(case), "variance")
    if case.proper:
        nodes, share, density = densities(name)
        if is_classes(case):
            mean, variance = density, density * (1 - density)
        else:
            mean = density @ (share * nodes)
            variance = density @ (share * nodes**2) - mean**2
    else:
        with jax.enable_x64(True):
            moments = [case.likelihood.moments(jnp.asarray(f)) for f in outputs_of(case)]
        mean, variance = (np.stack(part)[..., 0] for part in zip(*moments, strict=True))
    aleatoric, epistemic, total = (
        part.value if is_classes(case) else part.value[:, 0]
        for part in (found.aleatoric, found.epistemic, found.total)
    )
    rtol = 1e-7 if case.smooth else 1e-3
    np.testing.assert_allclose(aleatoric, variance.mean(axis=0), rtol=rtol)
    np.testing.assert_allclose(epistemic, mean.var(axis=0), rtol=rtol)
    np.testing.assert_allclose(total, aleatoric + epistemic, rtol=1e-12)


@named(n for n, case in LIKELIHOODS.items() if is_classes(case))
def test_entropies_of_classes_are_sums_and_their_parts_by_class_add_up(name):
    predictive = predictive_of(LIKELIHOODS[name])
    _, _, probs = densities(name)
    found, by_class = decompose(predictive), decompose(predictive, per_class=True)
    np.testing.assert_allclose(found.total.value, entr(probs.mean(axis=0)).sum(axis=1), rtol=1e-9)
    np.testing.assert_allclose(found.aleatoric.value, entr(probs).sum(axis=2).mean(axis=0))
    np.testing.assert_allclose(found.epistemic.value, predictive.mutual_information, rtol=1e-9)
    for part in ("total", "aleatoric", "epistemic"):
        whole, each = getattr(found, part).value, getattr(by_class, part).value
        np.testing.assert_allclose(each.sum(axis=1), whole, rtol=1e-12)
        assert (each >= 0).all()


@continuous
def test_entropies_of_numbers_are_integrals(name):
    _, share, density = densities(name)
    whole, samples = density.mean(axis=0), 4000
    found = decompose(predictive_of(LIKELIHOODS[name]), "entropy", key=3, samples=samples)
    with np.errstate(divide="ignore", invalid="ignore"):
        told = {"total": -np.log(whole) + 0 * density, "aleatoric": -np.log(density)}
        told["epistemic"] = told["total"] - told["aleatoric"]
    for part, value in told.items():
        value = np.where(density > 1e-200, value, 0)
        each = (density * value) @ share
        noise = ((density * (value - each[..., None]) ** 2) @ share).mean(axis=0)
        gap = getattr(found, part).value[:, 0] - each.mean(axis=0)
        assert (np.abs(gap) <= 5 * np.sqrt(noise / samples) + 1e-9).all(), part


def replicated(kind):
    """Return means of Gaussian predictions, (s, rows, 1), whose truth is N(0, 1), by sampling."""
    if kind == "chains":
        draws = autoregressive(2, 2, 200, 0.6, ROWS)
        return np.swapaxes(draws, 0, 1).reshape(-1, ROWS, 1), Sampling(chains=2)
    if kind == "members":
        member, own = RNG.normal(size=(8, 1, ROWS, 1)), RNG.normal(size=(8, 50, ROWS, 1))
        draws = np.sqrt(0.7) * member + np.sqrt(0.3) * own
        return draws.reshape(-1, ROWS, 1), Sampling(members=8)
    return RNG.normal(size=(30, ROWS, 1)), Sampling()


@pytest.mark.parametrize("kind", ["independent", "chains", "members"])
def test_errors_are_the_spread_over_replicates_and_biases_are_what_is_missing(kind):
    mean, sampling = replicated(kind)
    block = GaussianComponents(mean, 2 + np.tanh(mean))
    found = decompose(RegressionPredictive(lambda: [block], (ROWS, 1), sampling=sampling))
    assert found.sampling == sampling
    for part in (found.total, found.aleatoric, found.epistemic):
        # The estimated squares of 8 members vary by a half each, those of 1000 rows by 2 %.
        assert np.mean(part.error**2) == pytest.approx(part.value.var(), rel=0.15)
    noise = found.epistemic.value.std() / np.sqrt(ROWS)
    assert abs(found.epistemic.corrected.mean() - 1) < 5 * noise
    missing = np.mean(mean.mean(axis=0) ** 2)
    assert -found.epistemic.bias.mean() == pytest.approx(missing, rel=0.2)
    assert abs(found.aleatoric.value.mean() - 2) < 5 * found.aleatoric.value.std() / ROWS**0.5


def test_the_bias_of_mutual_information_is_taken_out_to_second_order():
    concentration = np.array([4.0, 2.0, 1.0])
    probs = RNG.dirichlet(concentration, (10, ROWS))
    found = decompose(ClassPredictive(lambda: [ClassComponents.from_probs(probs)], (ROWS, 3)))
    total, mean = concentration.sum(), concentration / concentration.sum()
    overlap = np.sum(mean * (digamma(total + 1) - digamma(concentration + 1)))
    exact = entr(mean).sum() - overlap
    part = found.epistemic
    noise = part.value.std() / np.sqrt(ROWS)
    assert abs(part.value.mean() - exact) > 5 * noise
    # What is left is of third order: a tenth of the bias.
    left = part.corrected.mean() - exact
    assert abs(left) < 3 * noise + 0.1 * abs(part.bias.mean())
    for each in (part, found.total):
        assert np.mean(each.error**2) == pytest.approx(each.value.var(), rel=0.25)


def test_entropies_of_numbers_are_corrected_for_few_draws():
    rows, spread, noise = 400, 1.5, 1.0
    block = GaussianComponents(RNG.normal(0, spread, (20, rows, 1)), noise**2)
    predictive = RegressionPredictive(lambda: [block], (rows, 1), squeeze=True)
    found = decompose(predictive, "entropy", key=1, samples=200)
    exact = 0.5 * np.log1p(spread**2 / noise**2)
    error = found.epistemic.value.std() / np.sqrt(rows)
    assert abs(found.epistemic.value.mean() - exact) > 8 * error
    # What is left is of third order: a tenth of the bias.
    left = found.epistemic.corrected.mean() - exact
    assert abs(left) < 5 * error + 0.1 * abs(found.epistemic.bias.mean())
    assert np.mean(found.epistemic.error**2) == pytest.approx(found.epistemic.value.var(), rel=0.25)


def test_a_dirichlet_distribution_over_classes_is_split_in_closed_form():
    log_probs, spread = np.log(np.array([[[0.5, 0.3, 0.2]]])), 0.25
    block = ClassComponents(log_probs, np.full((1, 1, 1), spread))
    predictive = ClassPredictive(lambda: [block], (1, 3), sampling=Sampling(exact=True))
    draws = RNG.dirichlet(np.exp(log_probs[0, 0]) / spread, (20_000, 1))
    sampled = ClassPredictive(lambda: [ClassComponents.from_probs(draws)], (1, 3))
    for measure in ("entropy", "variance"):
        exact, found = decompose(predictive, measure), decompose(sampled, measure)
        assert not exact.epistemic.error.any()
        for part in ("aleatoric", "epistemic"):
            one, other = getattr(exact, part), getattr(found, part)
            assert (np.abs(one.value - other.value) < 5 * other.error).all()


def test_a_closed_form_has_no_error_and_draws_of_it_agree_within_theirs():
    x = RNG.normal(size=(20, 2))
    model = Model(Linear(), Normal(1.0), Gaussian(0.5))
    exact = fit(jax.random.key(0), model, as_data(x, x[:, 0]), Exact())
    found = predict(jax.random.key(1), exact, x[:4])
    for measure in ("variance", "entropy"):
        split = decompose(found, measure)
        assert not split.epistemic.error.any()
        assert not split.epistemic.bias.any()
    np.testing.assert_allclose(decompose(found).epistemic.value, found.epistemic_var)
    ratio = found.epistemic_var / found.aleatoric_var
    np.testing.assert_allclose(decompose(found, "entropy").epistemic.value, 0.5 * np.log1p(ratio))
    drawn = decompose(predict(jax.random.key(1), exact, x[:4], how="draws", draws=2000))
    gap = drawn.epistemic.value - found.epistemic_var
    assert (np.abs(gap) < 5 * drawn.epistemic.error).all()
    assert (drawn.epistemic.error > 0).all()


def test_a_squeezed_or_rescaled_predictive_is_split_in_its_own_units():
    block = GaussianComponents(RNG.normal(size=(50, 6, 1)), 0.5)
    plain = RegressionPredictive(lambda: [block], (6, 1), sampling=Sampling(chains=2))
    found = decompose(plain.affine(1.0, 3.0).squeezed())
    assert found.sampling == plain.sampling
    for part in ("total", "aleatoric", "epistemic"):
        one, other = getattr(found, part), getattr(decompose(plain), part)
        np.testing.assert_allclose(one.value, 9 * other.value[:, 0])
        np.testing.assert_allclose(one.error, 9 * other.error[:, 0])


def test_tails_without_a_variance_are_told_and_have_entropies():
    location = RNG.normal(size=(40, 3, 1))
    parameters = (location, np.ones_like(location), np.full_like(location, 1.5))
    block = LawComponents(StudentTLaw(), parameters)
    predictive = RegressionPredictive(lambda: [block], (3, 1), squeeze=True)
    found = decompose(predictive)
    assert np.isinf(found.total.value).all()
    np.testing.assert_allclose(found.epistemic.value, location.var(axis=0)[:, 0])
    assert "Student-t" in found.warning
    assert found.warning in repr(found)
    assert np.isfinite(decompose(predictive, "entropy", key=0).epistemic.value).all()


def test_a_single_draw_does_not_tell_its_error():
    block = GaussianComponents(np.zeros((1, 2, 1)), 1.0)
    found = decompose(RegressionPredictive(lambda: [block], (2, 1)))
    assert np.isnan(found.epistemic.error).all()
    assert "Take more draws" in found.warning


def test_what_cannot_be_split_is_refused_with_the_way_out():
    probs = ClassComponents(np.log(np.full((1, 2, 2), 0.5)), np.nan)
    averaged = ClassPredictive(lambda: [probs], (2, 2))
    for measure in ("entropy", "variance"):
        with pytest.raises(ValueError, match="how='bridge'"):
            decompose(averaged, measure)
    block = GaussianComponents(np.zeros((3, 2, 1)), 1.0)
    numbers = RegressionPredictive(lambda: [block], (2, 1))
    with pytest.raises(ValueError, match="measure must be"):
        decompose(numbers, "sd")
    with pytest.raises(ValueError, match="key=0"):
        decompose(numbers, "entropy")
    with pytest.raises(TypeError, match="what predict returned"):
        decompose(block)
    with pytest.raises(ValueError, match="per_class"):
        decompose(numbers, per_class=True)


def test_a_rows_split_does_not_depend_on_its_company():
    block = GaussianComponents(RNG.normal(size=(64, 9, 2)), RNG.uniform(1, 2, (64, 9, 2)))
    whole = decompose(RegressionPredictive(lambda: [block], (9, 2)))
    parts = RegressionPredictive(lambda: [block.rows(0, 4), block.rows(4, 9)], (9, 2))
    for part in ("total", "aleatoric", "epistemic"):
        one, other = getattr(whole, part), getattr(decompose(parts), part)
        np.testing.assert_array_equal(one.value, other.value)
        np.testing.assert_array_equal(one.error, other.error)


def test_its_printed_form_says_what_was_split():
    block = GaussianComponents(np.array([-1.0, 1.0]).reshape(2, 1, 1), 3.0)
    found = decompose(RegressionPredictive(lambda: [block], (1, 1)))
    assert repr(found).startswith("variance (target units squared) of 1 rows, 2 draws")
    np.testing.assert_allclose(found.share, 0.25)
