import itertools
import math

import mpmath
import numpy as np
import pytest
from scipy import integrate, optimize, stats

from posterium.numerics import mixtures

RNG = np.random.default_rng(3)
SMALL = (RNG.normal(0, 2, (4, 5)), RNG.uniform(0.2, 1.5, (4, 5)))
APART = (np.array([[-50.0, 0.0, 50.0]]), np.array([[1e-3, 1.0, 0.1]]))
FAR = (np.array([[1e6, 1e6 + 1e-3]]), np.array([[1e-3, 1e-4]]))


def exact_quantile(mean, sd, q):
    with mpmath.workdps(40):
        q = mpmath.mpf(float(q))

        def below(x):
            return mpmath.fsum(mpmath.ncdf(x, m, s) for m, s in zip(mean, sd, strict=True)) / len(
                sd
            )

        ends = [m + s * stats.norm.ppf(float(q)) for m, s in zip(mean, sd, strict=True)]
        low, high = mpmath.mpf(min(ends)) - 1, mpmath.mpf(max(ends)) + 1
        for _ in range(140):
            middle = (low + high) / 2
            low, high = (middle, high) if below(middle) < q else (low, middle)
        return float(low)


@pytest.mark.parametrize("q", [1e-300, 1e-12, 0.05, 0.31, 0.5, 0.77, 0.95, 1 - 1e-12])
@pytest.mark.parametrize(("mean", "sd"), [SMALL, APART, FAR])
def test_quantiles_equal_bisection_in_forty_digits(mean, sd, q):
    found = mixtures.quantile(mean, sd, q)
    for row in range(min(len(mean), 2)):
        exact = exact_quantile(mean[row], sd[row], q)
        assert abs(found[row] - exact) <= 1e-12 * (abs(exact) + sd[row].min())


def test_quantiles_equal_scipy_root_finding():
    mean, sd = SMALL
    for row in range(4):

        def excess(x, row=row):
            return stats.norm.cdf(x, mean[row], sd[row]).mean() - 0.2

        exact = optimize.brentq(excess, -30, 30, xtol=1e-14)
        assert mixtures.quantile(mean, sd, 0.2)[row] == pytest.approx(exact, abs=1e-12)


def test_quantile_of_one_component_is_in_closed_form():
    mean, sd = np.array([[3.0], [-1.0]]), np.array([[2.0], [0.1]])
    exact = stats.norm.ppf(0.9, mean[:, 0], sd[:, 0])
    np.testing.assert_allclose(mixtures.quantile(mean, sd, 0.9), exact, rtol=1e-15)


def test_quantile_inverts_the_distribution_function_of_many_random_mixtures():
    generator = np.random.default_rng(0)
    mean = generator.normal(0, 3, (500, 7))
    sd = np.exp(generator.normal(-1, 1.5, (500, 7)))
    for q in (0.001, 0.4, 0.9):
        again = mixtures.cdf(mean, sd, mixtures.quantile(mean, sd, q))
        np.testing.assert_allclose(again, q, rtol=1e-10)


def crps_by_quadrature(mean, sd, y):
    def below(x):
        return stats.norm.cdf(x, mean, sd).mean()

    low, high = min((mean - 12 * sd).min(), y) - 1, max((mean + 12 * sd).max(), y) + 1
    knots = sorted({y, *mean})
    options = {"limit": 500, "epsabs": 1e-12, "epsrel": 1e-12}
    edges = [low, *knots, high]
    total = 0.0
    for a, b in itertools.pairwise(edges):
        inner = (lambda x: below(x) ** 2) if b <= y else (lambda x: (1 - below(x)) ** 2)
        total += integrate.quad(inner, a, b, **options)[0]
    return total


@pytest.mark.parametrize("y", [-40.0, 0.3, 25.0])
def test_crps_equals_the_integral_of_its_definition(y):
    mean, sd = SMALL
    found = mixtures.crps(mean, sd, np.full(4, y))
    exact = [crps_by_quadrature(mean[row], sd[row], y) for row in range(2)]
    np.testing.assert_allclose(found[:2], exact, rtol=1e-10)


def test_crps_of_one_gaussian_is_its_closed_form():
    z = np.array([-3.0, 0.0, 1.2, 40.0])
    exact = 2 * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / math.sqrt(math.pi))
    found = mixtures.crps(np.full((4, 1), 5.0), np.full((4, 1), 2.0), 5 + 2 * z)
    np.testing.assert_allclose(found, exact, rtol=1e-13)


@pytest.mark.parametrize("spread", [0.0, 0.3, 3.0, 300.0])
def test_nodes_and_pairs_give_the_same_spread(spread):
    generator = np.random.default_rng(1)
    mean = generator.normal(0, spread, (6, 400)) if spread else np.zeros((6, 400))
    sd = generator.uniform(0.5, 1.0, (6, 400))
    pairs = mixtures._spread_by_pairs(mean, sd)
    found = mixtures.half_spread(mean, sd)
    assert (found != pairs).any(), "the nodes were not used"
    np.testing.assert_allclose(found, pairs, rtol=1e-13)


def test_nodes_serve_components_of_very_different_widths():
    generator = np.random.default_rng(3)
    mean, sd = 7 + generator.normal(0, 1, 700), np.exp(generator.normal(0, 1, 700))
    low = (mean - mixtures.REACH * sd).min()
    found = mixtures._spread_by_nodes(mean, sd, low, 0.5 * sd.min())
    exact = mixtures._spread_by_pairs(mean[None], sd[None])[0]
    np.testing.assert_allclose(found, exact, rtol=1e-13)


def test_rows_with_and_without_a_very_narrow_component_keep_their_places():
    generator = np.random.default_rng(2)
    mean, sd = generator.normal(0, 1, (5, 300)), generator.uniform(0.5, 1.0, (5, 300))
    sd[[1, 3], 0] = 1e-4
    np.testing.assert_allclose(
        mixtures.half_spread(mean, sd), mixtures._spread_by_pairs(mean, sd), rtol=1e-13
    )


def test_log_mean_exp_is_finite_where_all_but_one_term_vanish():
    values = np.array([[-800.0, -np.inf], [-1e5, -2e5], [-np.inf, -np.inf]])
    exact = [-800 - math.log(2), -1e5 - math.log(2), -np.inf]
    np.testing.assert_allclose(mixtures.log_mean_exp(values), exact, rtol=1e-14)
