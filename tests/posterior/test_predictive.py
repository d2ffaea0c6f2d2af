import math
import tracemalloc

import jax
import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp

from posterium.posterior.components.classes import ClassComponents
from posterium.posterior.components.gaussian import GaussianComponents
from posterium.posterior.predictive import ClassPredictive, RegressionPredictive

S, N, K = 6, 11, 2
RNG = np.random.default_rng(7)
MEAN = RNG.normal(0, 2, (S, N, K))
VARIANCE = RNG.uniform(0.1, 2, (S, N, K))
FUNCTION = RNG.uniform(0.1, 1, (S, N, K))
PROBS = RNG.dirichlet([0.7, 1.0, 0.4], (S, N))
Y = RNG.normal(0, 2, (N, K))
LABELS = RNG.integers(0, 3, N)


class Blocks:
    """Cuts components into blocks of rows and counts the passes."""

    def __init__(self, size=N, *, make=None):
        self.size, self.passes = size, 0
        self.make = make or (
            lambda rows: GaussianComponents(MEAN[:, rows], VARIANCE[:, rows], FUNCTION[:, rows])
        )

    def __call__(self):
        self.passes += 1
        return (self.make(slice(i, i + self.size)) for i in range(0, N, self.size))


def class_blocks(size=N):
    return Blocks(size, make=lambda rows: ClassComponents.from_probs(PROBS[:, rows]))


def regression(size=N, **options):
    return RegressionPredictive(Blocks(size), (N, K), **options)


def test_moments_follow_the_law_of_total_variance():
    found = regression(4)
    np.testing.assert_allclose(found.mean, MEAN.mean(0), rtol=1e-13)
    np.testing.assert_allclose(found.aleatoric_var, VARIANCE.mean(0), rtol=1e-13)
    np.testing.assert_allclose(found.epistemic_var, MEAN.var(0) + FUNCTION.mean(0), rtol=1e-12)
    second = (VARIANCE + FUNCTION + MEAN**2).mean(0)
    np.testing.assert_allclose(found.sd**2, second - MEAN.mean(0) ** 2, rtol=1e-11)
    np.testing.assert_allclose(found.aleatoric_sd**2 + found.epistemic_sd**2, found.sd**2)


def test_log_density_equals_scipy_and_is_joint_over_outputs():
    each = stats.norm.logpdf(Y, MEAN, np.sqrt(VARIANCE + FUNCTION)).sum(axis=2)
    exact = logsumexp(each, axis=0) - math.log(S)
    np.testing.assert_allclose(regression(3).log_prob(Y), exact, rtol=1e-12)


@pytest.mark.parametrize("sds", [40, 1e4])
def test_log_density_far_out_is_finite_and_exact(sds):
    components = GaussianComponents(np.zeros((2, 1, 1)), np.array([1.0, 4.0]).reshape(2, 1, 1))
    found = RegressionPredictive(lambda: [components], (1, 1), squeeze=True)
    exact = stats.norm.logpdf(2 * sds, 0, 2) - math.log(2)
    assert found.log_prob(np.array([2.0 * sds]))[0] == pytest.approx(exact, rel=1e-13)


def test_distribution_function_quantiles_and_intervals_agree():
    found = regression(5)
    exact = stats.norm.cdf(Y, MEAN, np.sqrt(VARIANCE + FUNCTION)).mean(0)
    np.testing.assert_allclose(found.cdf(Y), exact, rtol=1e-12)
    lower, upper = found.interval(0.8)
    np.testing.assert_allclose(found.cdf(lower), 0.1, rtol=1e-11)
    np.testing.assert_allclose(found.cdf(upper), 0.9, rtol=1e-11)
    levels = found.quantile(np.array([0.1, 0.5, 0.9]))
    assert levels.shape == (3, N, K)
    np.testing.assert_array_equal(levels[2], found.quantile(0.9))


def regression_answers(found, y):
    return {
        "mean": found.mean,
        "sd": found.sd,
        "epistemic_var": found.epistemic_var,
        "quantile": found.quantile(0.03),
        "cdf": found.cdf(y),
        "crps": found.crps(y),
        "log_prob": found.log_prob(y),
    }


@pytest.mark.parametrize("draws", [1, 7, 300])
@pytest.mark.parametrize("outputs", [1, 2])
def test_a_row_has_the_same_bits_alone_in_blocks_and_in_company(draws, outputs):
    generator = np.random.default_rng(5)
    mean = generator.normal(0, 1, (draws, N, outputs))
    variance = generator.uniform(0.5, 1, (draws, N, outputs))
    y = generator.normal(0, 1, (N, outputs))

    def answers(rows, size):
        def blocks():
            for i in range(rows.start, rows.stop, size):
                part = slice(i, min(i + size, rows.stop))
                yield GaussianComponents(mean[:, part], variance[:, part], 0.3)

        found = RegressionPredictive(blocks, (rows.stop - rows.start, outputs))
        return regression_answers(found, y[rows])

    whole = answers(slice(0, N), N)
    for name, value in answers(slice(0, N), 3).items():
        np.testing.assert_array_equal(value, whole[name], err_msg=name)
    for i in range(N):
        for name, value in answers(slice(i, i + 1), 1).items():
            np.testing.assert_array_equal(value[0], whole[name][i], err_msg=name)


def test_blocks_are_worked_on_in_small_parts_that_do_not_change_a_bit(monkeypatch):
    whole = regression_answers(regression(), Y)
    draws = regression().sample(1, 4)
    monkeypatch.setattr("posterium.posterior.predictive.WORK_BYTES", 8 * S * K * 4)
    for name, value in regression_answers(regression(), Y).items():
        np.testing.assert_array_equal(value, whole[name], err_msg=name)
    np.testing.assert_array_equal(regression().sample(1, 4), draws)


def test_a_question_takes_little_memory_beside_its_block():
    block = GaussianComponents(np.random.default_rng(0).normal(size=(1000, 3000, 1)), 1.0)
    found = RegressionPredictive(lambda: [block], (3000, 1))
    tracemalloc.start()
    found.sd, found.quantile(0.1), found.log_prob(np.zeros((3000, 1)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < block.mean.nbytes


def test_squeezed_answers_lose_the_axis_of_outputs():
    blocks = [GaussianComponents(MEAN[..., :1], VARIANCE[..., :1])]
    found = RegressionPredictive(lambda: blocks, (N, 1), squeeze=True)
    for name, value in regression_answers(found, Y[:, 0]).items():
        assert value.shape == (N,), name
    assert found.quantile(np.array([0.2, 0.3])).shape == (2, N)
    assert found.sample(0, 4).shape == (4, N)
    with pytest.raises(ValueError, match=r"shape \(11, 1\); got \(11, 2\)"):
        found.log_prob(Y)


def test_affine_gives_the_distribution_in_other_units():
    shift, scale = np.array([3.0, -1.0]), np.array([2.0, -0.5])
    plain, moved = regression(4), regression(4).affine(shift, scale)
    y = shift + scale * Y
    np.testing.assert_allclose(moved.mean, shift + scale * plain.mean, rtol=1e-12)
    np.testing.assert_allclose(moved.sd, np.abs(scale) * plain.sd, rtol=1e-12)
    np.testing.assert_allclose(moved.crps(y), np.abs(scale) * plain.crps(Y), rtol=1e-11)
    jacobian = np.log(np.abs(scale)).sum()
    np.testing.assert_allclose(moved.log_prob(y), plain.log_prob(Y) - jacobian, rtol=1e-11)
    flipped = shift[1] + scale[1] * plain.quantile(0.9)[:, 1]
    np.testing.assert_allclose(moved.quantile(0.1)[:, 1], flipped, rtol=1e-11)


@pytest.mark.parametrize("bad", [0.0, np.nan, np.ones(3)])
def test_affine_refuses_scales_that_are_zero_or_of_another_shape(bad):
    with pytest.raises(ValueError, match="Expected"):
        regression().affine(0.0, bad)


def test_blocks_are_pulled_once_when_they_fit_the_cache():
    blocks = Blocks(4)
    found = RegressionPredictive(blocks, (N, K))
    moved = found.affine(1.0, 2.0)
    moved.mean, moved.crps(Y), found.log_prob(Y)
    assert blocks.passes == 1


def test_blocks_beyond_the_cache_are_pulled_again_and_the_moments_once():
    blocks = Blocks(4)
    found = RegressionPredictive(blocks, (N, K), cache_bytes=3 * 8 * S * N * K - 1)
    first = (found.mean, found.sd, found.epistemic_sd)
    assert blocks.passes == 1
    found.log_prob(Y)
    assert blocks.passes == 2
    np.testing.assert_array_equal(first[0], regression().mean)


def test_blocks_of_too_few_rows_are_an_error():
    found = RegressionPredictive(lambda: [GaussianComponents(MEAN, VARIANCE)], (N + 1, K))
    with pytest.raises(ValueError, match="12 rows together; got 11"):
        _ = found.mean


def test_draws_have_the_moments_of_the_mixture():
    found, draws = regression(4), 40_000
    sample = found.sample(jax.random.key(1), draws)
    assert sample.shape == (draws, N, K)
    z = (sample.mean(0) - found.mean) / (found.sd / math.sqrt(draws))
    assert np.abs(z).max() < 4.5
    centred = (sample - found.mean) ** 2
    z = (centred.mean(0) - found.sd**2) / (centred.std(0) / math.sqrt(draws))
    assert np.abs(z).max() < 4.5


def test_a_draw_takes_one_component_for_all_rows():
    mean = np.array([-100.0, 100.0]).reshape(2, 1, 1) * np.ones((1, N, 1))
    blocks = [GaussianComponents(mean[:, :5], 1.0), GaussianComponents(mean[:, 5:], 1.0)]
    sign = np.sign(RegressionPredictive(lambda: blocks, (N, 1)).sample(3, 200)[..., 0])
    assert (sign == sign[:, :1]).all()
    assert abs(sign[:, 0].mean()) < 4.5 / math.sqrt(200)


def test_draws_depend_on_the_key_and_not_on_the_blocks():
    key = jax.random.key(4)
    whole = regression().sample(key, 5)
    np.testing.assert_array_equal(regression(3).sample(key, 5), whole)
    assert (regression().sample(jax.random.key(5), 5) != whole).all()
    np.testing.assert_array_equal(
        regression().sample(np.random.default_rng(2), 3), regression().sample(2, 3)
    )


def test_too_many_raw_draws_are_refused_before_anything_is_computed():
    blocks = Blocks()
    found = RegressionPredictive(blocks, (10**9, K))
    needed = 8 * 1000 * 10**9 * K
    with pytest.raises(ValueError, match=f"need {needed} bytes.*max_bytes={needed}"):
        found.sample(0, 1000)
    assert blocks.passes == 0
    small = 8 * 5 * N * K
    assert regression().sample(0, 5, max_bytes=small).nbytes == small
    with pytest.raises(ValueError, match="max_bytes"):
        regression().sample(0, 5, max_bytes=small - 1)


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, np.nan, np.array([0.5, 1.5])])
def test_levels_outside_zero_and_one_are_refused(level):
    with pytest.raises(ValueError, match=r"inside \(0, 1\)"):
        regression().quantile(level)


@pytest.mark.parametrize(
    ("mean", "variance"), [(np.nan, 1.0), (0.0, 0.0), (0.0, -1.0), (0.0, np.nan), (0.0, np.inf)]
)
def test_unsound_gaussian_components_are_refused(mean, variance):
    values = np.zeros((3, 4, 1))
    values[1, 2] = mean
    with pytest.raises(ValueError, match="of 4 rows"):
        GaussianComponents(values, variance)


def test_class_probabilities_entropies_and_information_equal_scipy():
    found = ClassPredictive(class_blocks(4), (N, 3))
    probs = PROBS.mean(0)
    np.testing.assert_allclose(found.probs, probs, rtol=1e-13)
    np.testing.assert_array_equal(found.label, probs.argmax(1))
    np.testing.assert_allclose(found.entropy, stats.entropy(probs, axis=1), rtol=1e-12)
    aleatoric = stats.entropy(PROBS, axis=2).mean(0)
    np.testing.assert_allclose(found.aleatoric_entropy, aleatoric, rtol=1e-12)
    information = stats.entropy(PROBS, np.broadcast_to(probs, PROBS.shape), axis=2).mean(0)
    np.testing.assert_allclose(found.mutual_information, information, rtol=1e-10)
    exact = np.log(probs[np.arange(N), LABELS])
    np.testing.assert_allclose(found.log_prob(LABELS), exact, rtol=1e-12)


def test_equal_draws_carry_no_information():
    blocks = [ClassComponents.from_probs(np.repeat(PROBS[:1], 5, axis=0))]
    information = ClassPredictive(lambda: blocks, (N, 3)).mutual_information
    assert (information >= 0).all()
    assert information.max() < 1e-14


def test_class_rows_have_the_same_bits_alone_and_in_company():
    whole = ClassPredictive(class_blocks(), (N, 3))
    alone = ClassPredictive(class_blocks(1), (N, 3))
    for name in ("probs", "entropy", "aleatoric_entropy", "mutual_information", "label"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(alone, name), err_msg=name)
    np.testing.assert_array_equal(whole.log_prob(LABELS), alone.log_prob(LABELS))
    np.testing.assert_array_equal(whole.sample(1, 9), alone.sample(1, 9))


def test_class_draws_have_the_averaged_probabilities():
    found, draws = ClassPredictive(class_blocks(4), (N, 3)), 20_000
    sample = found.sample(jax.random.key(0), draws)
    share = (sample[..., None] == np.arange(3)).mean(0)
    se = np.sqrt(found.probs * (1 - found.probs) / draws)
    assert (np.abs(share - found.probs) < 4.5 * se).all()


def test_an_impossible_class_in_float32_keeps_a_finite_log_probability():
    logits = np.array([[[0.0, 400.0]]], np.float32)
    blocks = [ClassComponents(np.asarray(jax.nn.log_softmax(logits)))]
    found = ClassPredictive(lambda: blocks, (1, 2))
    assert found.log_prob(np.array([0]))[0] == pytest.approx(-400)
    assert found.entropy[0] >= 0


def test_float32_probabilities_sum_to_one_in_float64():
    blocks = [ClassComponents.from_probs(PROBS.astype(np.float32))]
    found = ClassPredictive(lambda: blocks, (N, 3))
    np.testing.assert_allclose(found.probs.sum(1), 1, rtol=4e-16)


@pytest.mark.parametrize("bad", [0.25, np.nan])
def test_arrays_that_are_not_log_probabilities_are_refused(bad):
    with pytest.raises(ValueError, match=r"11 of 11 rows.*from_probs"):
        ClassComponents(np.full((S, N, 3), bad))


@pytest.mark.parametrize("y", [np.full(N, 3), np.full(N, -1), np.ones(N), np.zeros((N, 1), int)])
def test_targets_that_are_not_class_indices_are_refused(y):
    with pytest.raises(ValueError, match="class indices"):
        ClassPredictive(class_blocks(), (N, 3)).log_prob(y)
