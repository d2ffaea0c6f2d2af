"""Laws and their mixtures against SciPy, quadrature and sums over counts."""

import itertools

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad
from scipy.special import beta

from posterium.numerics.laws import mixed
from posterium.numerics.laws.counts import NegativeBinomialLaw, PoissonLaw
from posterium.numerics.laws.gaussian_mixture import GaussianMixtureLaw
from posterium.numerics.laws.quantiles import QuantilesLaw
from posterium.numerics.laws.student_t import StudentTLaw
from posterium.numerics.laws.weibull import WeibullLaw
from posterium.posterior.components.laws import LawComponents

RNG = np.random.default_rng(3)
S, N = 4, 3


def number(low, high, *shape):
    return RNG.uniform(low, high, (S, N, *shape))


LEVELS = np.broadcast_to([0.1, 0.5, 0.8], (S, N, 1, 3))
CASES = {
    "student_t": (StudentTLaw(), (number(-2, 2, 1), number(0.3, 2, 1), number(1.5, 80, 1))),
    "laplace": (
        QuantilesLaw(), (number(-2, 2, 1, 1), number(0.3, 2, 1, 1), np.full((S, N, 1, 1), 0.5)),
    ),
    "quantiles": (
        QuantilesLaw(),
        (np.cumsum(number(0, 2, 1, 3), axis=-1) - 2, number(0.3, 1, 1, 1) + np.zeros(3), LEVELS),
    ),
    "mixture": (
        GaussianMixtureLaw(),
        (np.log(RNG.dirichlet([1, 1], (S, N, 1))), number(-3, 3, 1, 2), number(0.1, 2, 1, 2)),
    ),
    "weibull": (WeibullLaw(), (number(0.5, 3, 1), number(0.6, 6, 1))),
    "poisson": (PoissonLaw(), (number(0.2, 30, 1),)),
    "negative_binomial": (NegativeBinomialLaw(), (number(0.2, 30, 1), number(0.05, 3, 1))),
}  # fmt: skip
COUNTS = ("poisson", "negative_binomial")
every = pytest.mark.parametrize("name", CASES)
numbers = pytest.mark.parametrize("name", [name for name in CASES if name not in COUNTS])


def reference(name, parameters):
    """Return the SciPy distribution of single parameters, without axes; None without one."""
    first, *rest = (np.asarray(part).reshape(-1) for part in parameters)
    if name == "student_t":
        return stats.t(rest[1][0], first[0], rest[0][0])
    if name == "laplace":
        return stats.laplace(first[0], 2 * rest[0][0])
    if name == "weibull":
        return stats.weibull_min(rest[0][0], scale=first[0])
    if name == "poisson":
        return stats.poisson(first[0])
    if name == "negative_binomial":
        size = 1 / rest[0][0]
        return stats.nbinom(size, size / (size + first[0]))
    return None


def made(name):
    law, parameters = CASES[name]
    return LawComponents(law, parameters)


def targets(name):
    return np.arange(2.0, 2.0 + N)[:, None] if name in COUNTS else np.array([[0.3], [1.1], [2.5]])


def test_single_laws_are_those_of_scipy():
    for name, (law, parameters) in CASES.items():
        one = tuple(part[0, 0] for part in parameters)
        known, y = reference(name, one), np.array([0.0, 1.0, 3.0, 40.0])
        if known is None:
            continue
        density = known.logpmf if name in COUNTS else known.logpdf
        if name == "weibull":
            y = y[1:]
        np.testing.assert_allclose(law.log_density(y, *one), density(y), rtol=1e-10, err_msg=name)
        np.testing.assert_allclose(law.cdf(y, *one), known.cdf(y), rtol=1e-11, err_msg=name)
        np.testing.assert_allclose(law.survival(y, *one), known.sf(y), rtol=1e-8, err_msg=name)
        np.testing.assert_allclose(law.mean(*one), known.mean(), rtol=1e-12, err_msg=name)
        np.testing.assert_allclose(law.variance(*one), known.var(), rtol=1e-11, err_msg=name)
        found = law.quantile(0.07, *one)
        np.testing.assert_allclose(found, known.ppf(0.07), rtol=1e-11, err_msg=name)


@numbers
def test_moments_and_distribution_are_integrals_of_the_density(name):
    law, parameters = CASES[name]
    one = tuple(part[0, 0] for part in parameters)
    low = 0.0 if name == "weibull" else -np.inf
    kinks = np.ravel(one[0]) if law.wide else ()

    def integral(function, stop):
        ends = [low, *sorted(k for k in kinks if k < stop), stop]
        return sum(
            quad(lambda y: float(np.exp(law.log_density(np.array([y]), *one)[0])) * function(y),
                 a, b, limit=200)[0]
            for a, b in itertools.pairwise(ends)
        )  # fmt: skip

    assert integral(lambda y: 1.0, 1.2) == pytest.approx(float(law.cdf(np.array([1.2]), *one)[0]))
    mean = integral(lambda y: y, np.inf)
    assert mean == pytest.approx(float(law.mean(*one)[0]), rel=1e-7)
    if np.isfinite(law.variance(*one)).all():
        found = integral(lambda y: (y - mean) ** 2, np.inf)
        assert found == pytest.approx(float(law.variance(*one)[0]), rel=1e-6)
    away = integral(lambda y: abs(y - 0.7), 0.7) + integral(lambda y: abs(y - 0.7), np.inf)
    away -= integral(lambda y: abs(y - 0.7), 0.7)
    assert float(law.distance(np.array([0.7]), *one)[0]) == pytest.approx(away, rel=1e-6)


def test_means_and_variances_that_do_not_exist_are_not_made_up():
    law, at = StudentTLaw(), (np.zeros(4), np.ones(4), np.array([0.9, 1.0, 1.5, 2.0]))
    assert np.isnan(law.mean(*at)).tolist() == [True, True, False, False]
    assert np.isnan(law.variance(*at)).tolist() == [True, True, False, False]
    assert np.isinf(law.variance(*at)[2:]).all()
    assert np.isinf(law.distance(np.ones(4), *at)).tolist() == [True, True, False, False]
    cauchy = tuple(part[:1, None, None] for part in at)
    assert np.isinf(LawComponents(law, cauchy).crps(np.ones((1, 1)))).all()


@every
def test_quantiles_of_mixtures_invert_the_distribution(name):
    found = made(name)
    for q in (1e-5, 0.02, 0.5, 0.77, 0.999):
        at = found.quantile(q)
        if name in COUNTS:
            assert (found.cdf(at) >= q).all()
            assert (found.cdf(at - 1) < q).all()
        elif q < 0.5:
            np.testing.assert_allclose(found.cdf(at), q, rtol=1e-9)
        else:
            np.testing.assert_allclose(found.survival(at), 1 - q, rtol=1e-9)


@every
def test_crps_of_mixtures_is_the_integral_of_its_definition(name):
    found, y = made(name).rows(0, 1), targets(name)[:1]
    if name in COUNTS:
        counts = np.arange(2000.0)
        below = np.array([found.cdf(np.array([[c]]))[0, 0] for c in counts])
        exact = np.sum((below - (counts >= y[0, 0])) ** 2)
    else:
        ends = np.sinh(np.linspace(0 if name == "weibull" else -14, 14, 90))
        kinks = np.ravel(found.parameters[0]) if found.law.wide else []
        ends = np.unique([*ends, *kinks, y[0, 0]])

        def square(x):
            at = np.array([[x]])
            return (found.survival(at) if x >= y[0, 0] else found.cdf(at))[0, 0] ** 2

        exact = sum(quad(square, a, b, epsabs=1e-12)[0] for a, b in itertools.pairwise(ends))
    assert found.crps(y)[0, 0] == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize("y", [0.0, 400.0, 20_000.0])
def test_crps_of_large_counts_is_the_sum_over_all_of_them(y):
    for law, parameters in (
        (PoissonLaw(), (np.array([[1.0, 300.0, 2e4]]),)),
        (NegativeBinomialLaw(), (np.array([[50.0, 1000.0]]), np.array([[4.0, 0.5]]))),
    ):
        counts = np.arange(60_000.0)
        below = law.cdf(counts[:, None], *(part[0] for part in parameters)).mean(axis=1)
        exact = np.sum((below - (y <= counts)) ** 2)
        assert mixed.crps(law, parameters, np.array([y]))[0] == pytest.approx(exact, rel=1e-9)


def test_crps_of_counts_takes_work_that_does_not_grow_with_them(monkeypatch):
    taken, below = [], NegativeBinomialLaw.below

    def counted(self, y, *parameters):
        taken.append(np.size(y))
        return below(self, y, *parameters)

    monkeypatch.setattr(NegativeBinomialLaw, "below", counted)
    parameters = np.full((1, 2), 1e6), np.full((1, 2), 0.5)
    mixed.crps(NegativeBinomialLaw(), parameters, np.array([1e6]))
    assert sum(taken) < 2000


def test_counts_beyond_all_integers_can_be_drawn():
    mean, generator = np.full(1000, 1e21), np.random.default_rng(0)
    np.testing.assert_allclose(PoissonLaw().sample(generator, mean), mean, rtol=1e-6)
    drawn = NegativeBinomialLaw().sample(generator, mean, np.full(1000, 0.5))
    assert drawn.mean() / 1e21 == pytest.approx(1, abs=5 * np.sqrt(0.5 / 1000))


def test_crps_of_single_laws_is_that_of_closed_forms():
    shape, y = np.array([0.6, 1.7, 5.0])[:, None], np.ones(3)
    spread = [mixed.half_spread(WeibullLaw(), (np.array([2.0]), k)) for k in shape]
    exact = WeibullLaw().mean(np.array(2.0), shape[:, 0]) * (1 - 2 ** (-1 / shape[:, 0]))
    np.testing.assert_allclose(spread, exact, rtol=1e-9)
    b, level = 0.7, np.full((1, 1), 0.5)
    laplace = (np.zeros((3, 1, 1)), np.full((3, 1, 1), b / 2), np.broadcast_to(level, (3, 1, 1)))
    exact = y + b * np.exp(-y / b) - 0.75 * b
    np.testing.assert_allclose(mixed.crps(QuantilesLaw(), laplace, y), exact, rtol=1e-12)
    for df in (1.3, 2.5, 4.0, 30.0, 1000.0):  # jordan2019, appendix A.2
        exact = 2 * np.sqrt(df) * beta(0.5, df - 0.5) / ((df - 1) * beta(0.5, df / 2) ** 2)
        found = mixed.half_spread(StudentTLaw(), tuple(np.array([v]) for v in (0.7, 1.0, df)))
        assert found == pytest.approx(exact, rel=2e-10)


@every
def test_draws_agree_with_the_moments(name):
    found = made(name)
    if name == "student_t":
        law, (location, scale, df) = CASES[name]
        found = LawComponents(law, (location, scale, df + 8))
    mean, aleatoric, epistemic = found.moments()
    y = found.sample(np.random.default_rng(1), np.arange(20_000) % S)
    assert y.shape == (N, 20_000, 1)
    variance = aleatoric + epistemic
    assert (np.abs(y.mean(axis=1) - mean) < 5 * np.sqrt(variance / 20_000)).all()
    squares = (y - mean[:, None]) ** 2
    error = squares.std(axis=1) / 20_000**0.5
    assert (np.abs(squares.mean(axis=1) - variance) < 5 * error).all()


@every
def test_a_row_has_the_same_bits_alone_and_in_company(name):
    found, y = made(name), targets(name)
    for ask in ("log_prob", "cdf", "survival", "pit", "crps"):
        at = np.c_[y, y * 0 + 1] if name == "weibull" and ask == "log_prob" else y
        whole = getattr(found, ask)(at)
        for row in range(N):
            alone = getattr(found.rows(row, row + 1), ask)(at[row : row + 1])
            np.testing.assert_array_equal(alone[0], whole[row], err_msg=ask)
    for row in range(N):
        alone = found.rows(row, row + 1)
        np.testing.assert_array_equal(alone.quantile(0.3)[0], found.quantile(0.3)[row])
        np.testing.assert_array_equal(alone.moments()[2][0], found.moments()[2][row])
    parts, generator = [], np.random.default_rng(2)
    for row in range(N):
        parts.append(found.rows(row, row + 1).sample(generator, np.arange(6) % S))
    whole = found.sample(np.random.default_rng(2), np.arange(6) % S)
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@numbers
def test_other_units_change_the_numbers_and_nothing_else(name):
    found, y = made(name), targets(name)
    shift, scale = np.array([0.0 if name == "weibull" else 5.0]), np.array([3.0])
    moved = found.affine(shift, scale)
    seen = (lambda y: np.c_[y, y * 0 + 1]) if name == "weibull" else (lambda y: y)
    np.testing.assert_allclose(moved.cdf(shift + scale * y), found.cdf(y), rtol=1e-12)
    np.testing.assert_allclose(moved.crps(shift + scale * y), 3 * found.crps(y), rtol=1e-9)
    gap = found.log_prob(seen(y)) - moved.log_prob(seen(shift + scale * y))
    np.testing.assert_allclose(gap, np.log(3), rtol=1e-11)
    if name != "weibull":
        turned = found.affine(np.array([0.0]), np.array([-1.0]))
        np.testing.assert_allclose(turned.cdf(-y), found.survival(y), rtol=1e-12)
        np.testing.assert_allclose(turned.quantile(0.2), -found.quantile(0.8), rtol=1e-10)


def test_times_and_counts_keep_their_origin_and_unit():
    for name, shift, scale in (("weibull", 1.0, 1.0), ("poisson", 0.0, 2.0)):
        with pytest.raises(ValueError, match=r"Expected (times|counts) to keep their"):
            made(name).affine(np.array([shift]), np.array([scale]))


def test_a_time_that_was_cut_off_counts_by_the_chance_of_a_longer_one():
    found, y = made("weibull"), targets("weibull")
    cut = np.c_[y, np.zeros(N)]
    np.testing.assert_allclose(found.log_prob(cut), np.log(found.survival(y)[:, 0]), rtol=1e-12)


def test_counts_that_are_none_have_no_probability():
    for name in COUNTS:
        y = np.array([[1.5], [-1.0], [2.0]])
        found = made(name).log_prob(y)
        assert np.isneginf(found[:2]).all()
        assert np.isfinite(found[2])
        pit = made(name).pit(np.full((N, 1), 3.0))
        half = 0.5 * np.exp(made(name).log_prob(np.full((N, 1), 3.0)))[:, None]
        np.testing.assert_allclose(pit, made(name).cdf(np.full((N, 1), 2.0)) + half, rtol=1e-11)


def test_quantiles_that_meet_leave_no_hole():
    at = np.array([[[[0.0, 1.0, 1.0]]]])
    found = LawComponents(QuantilesLaw(), (at, at * 0 + 0.3, LEVELS[:1, :1]))
    y = np.array([[1.0]])
    assert found.cdf(y)[0, 0] == pytest.approx(0.8)
    assert np.isfinite(found.crps(y)).all()
    assert np.isfinite(found.moments()[1]).all()


def test_parameters_that_make_no_law_are_refused_with_their_number():
    bad = np.ones((1, 3, 1))
    bad[0, 1] = -1
    with pytest.raises(ValueError, match="1 of 3 rows have others"):
        LawComponents(StudentTLaw(), (np.zeros((1, 3, 1)), bad, np.ones((1, 3, 1))))
