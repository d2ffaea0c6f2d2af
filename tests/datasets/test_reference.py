"""The data against figures others computed from them: exact values and first draws."""

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import multivariate_normal

from posterium.datasets import reference


def affine(x):
    return np.column_stack([np.ones(len(x)), x])


def log_evidence(features, y, alpha):
    """Under noise variance 1 and prior N(0, I / alpha), from the marginal law of y."""
    covariance = np.eye(len(y)) + features @ features.T / alpha
    return multivariate_normal(np.zeros(len(y)), covariance).logpdf(y)


@pytest.mark.parametrize(("alpha", "value"), [(3, -26.8521733), (3.58, -28.0504479)])
def test_outlier6_has_the_published_evidence(alpha, value):
    x, y = reference.outlier6()
    assert log_evidence(affine(x), y, alpha) == pytest.approx(value, abs=1e-7)


def test_outlier6_has_the_published_posterior():
    x, y = reference.outlier6()
    precision = 3 * np.eye(2) + affine(x).T @ affine(x)
    np.testing.assert_allclose(precision, 9 * np.eye(2), atol=1e-12)
    np.testing.assert_allclose(
        np.linalg.solve(precision, affine(x).T @ y), [-1.7333333, -1.3466064], atol=1e-7
    )


def test_outlier6_left_raw_is_the_same_up_to_shift_and_scale():
    (x, y), (raw, same) = reference.outlier6(), reference.outlier6(standardise=False)
    np.testing.assert_array_equal(raw[:, 0], [1, 1.5, 2, 3, 4, 5])
    np.testing.assert_allclose(x, (raw - raw.mean()) / raw.std())
    np.testing.assert_array_equal(y, same)


def test_nonlinear8_has_the_published_evidence():
    x, y = reference.nonlinear8()
    assert log_evidence(affine(x), y, 0.01) == pytest.approx(-95.6734755, abs=1e-7)


def test_classification7_has_the_published_mode_and_curvature():
    x, y = reference.classification7()
    mode = np.array([0.3076198, 1.3645799])
    p = expit(affine(x) @ mode)
    np.testing.assert_allclose(affine(x).T @ (y - p) - 0.75 * mode, 0, atol=1e-6)
    hessian = (affine(x).T * (p * (1 - p))) @ affine(x) + 0.75 * np.eye(2)
    np.testing.assert_allclose(
        np.linalg.inv(hessian), [[0.6832779, 0.0030519], [0.0030519, 0.4869064]], atol=1e-6
    )


def test_identity6_is_two_groups_of_three_within_a_tenth_of_the_line():
    x, y = reference.identity6()
    np.testing.assert_allclose(y - x[:, 0], [0, -0.1, 0, 0, -0.1, 0], atol=1e-12)
    np.testing.assert_array_equal(x[:, 0], [-2, -1.8, -1, 2, 2, 2.1])


@pytest.mark.parametrize(
    ("draw", "first_x", "first_y"),
    [
        (reference.blobs, [2.484096, 2.7164447], 1),
        (reference.moons, [2.0210009, 0.49017924], 1),
        (reference.four_clusters, [-3.5522144], -0.9140087),
        (lambda: reference.four_clusters(seed=1), [-3.2122946], -0.99780196),
        (lambda: reference.scaled_moons()[0], [1.68178514, -0.30443665], 1),
        (lambda: reference.scaled_moons()[1], [1.19339245, -1.34983002], 1),
        (lambda: reference.cubic()[0], [-3.0], 23.740713),
        (lambda: reference.cubic()[1], [-2.9948997], 24.860004),
    ],
    ids=["R0 blobs", "R0 moons", "R2", "R2 test", "R3", "R3 test", "R4", "R4 validation"],
)
def test_the_first_point_is_the_one_the_benchmarks_saw(draw, first_x, first_y):
    x, y = draw()
    np.testing.assert_allclose(x[0], first_x, rtol=1e-6)
    assert y[0] == pytest.approx(first_y, rel=1e-6)


@pytest.mark.parametrize(
    ("draw", "n", "d"),
    [
        (reference.outlier6, 6, 1),
        (reference.nonlinear8, 8, 1),
        (reference.classification7, 7, 1),
        (reference.identity6, 6, 1),
        (reference.blobs, 400, 2),
        (reference.moons, 1000, 2),
        (reference.four_clusters, 400, 1),
        (reference.two_clusters, 400, 1),
        (lambda: reference.scaled_moons()[0], 700, 2),
        (lambda: reference.scaled_moons()[1], 300, 2),
        (lambda: reference.cubic()[0], 16_000, 1),
        (lambda: reference.cubic()[1], 4_000, 1),
    ],
)
def test_inputs_are_a_float64_matrix_and_targets_a_vector(draw, n, d):
    x, y = draw()
    assert (x.shape, x.dtype, y.shape) == ((n, d), np.float64, (n,))


@pytest.mark.parametrize(
    ("draw", "clusters"),
    [
        (
            reference.four_clusters,
            [(-4.1, 2.1, 0.01), (-1.2, 1.2, 0.25), (0.5, 1.4, 0.05), (4.0, 2.0, 0.01)],
        ),
        (reference.two_clusters, [(-1.0, 0.3, 0.2), (0.5, 1.2, 0.05)]),
    ],
)
@pytest.mark.parametrize(("target", "curve"), [("cosine", np.cos), ("cubic", lambda x: x**3 / 350)])
def test_each_cluster_has_its_share_range_and_noise(draw, clusters, target, curve):
    n = 20_000
    x, y = draw(n=n, target=target)
    share = n // len(clusters)
    for offset, width, noise_sd in clusters:
        inside = (x[:, 0] >= offset) & (x[:, 0] <= offset + width)
        assert inside.sum() == share
        noise = (y - curve(x[:, 0]))[inside]
        assert abs(noise.mean()) < 5 * noise_sd / np.sqrt(share)
        assert abs(noise.std() / noise_sd - 1) < 5 / np.sqrt(2 * share)


def test_an_unknown_curve_is_refused_with_the_two_there_are():
    with pytest.raises(ValueError, match="expected target 'cosine' or 'cubic'; got 'sine'"):
        reference.four_clusters(target="sine")


def test_r3_is_scaled_over_both_parts_together():
    (x, _), (x_test, _) = reference.scaled_moons()
    both = np.concatenate([x, x_test])
    np.testing.assert_allclose(both.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(both.std(0), 1, atol=1e-12)


def test_r4_parts_share_no_point_and_miss_the_curve_by_the_noise():
    parts = reference.cubic()
    x = np.concatenate([part[0][:, 0] for part in parts])
    y = np.concatenate([part[1] for part in parts])
    np.testing.assert_array_equal(np.sort(x), np.linspace(-3, 3, 20_000))
    np.testing.assert_allclose(reference.cubic_curve(x), -1.8 * x**3 + 8 * x, atol=1e-12)
    noise = y - reference.cubic_curve(x)
    assert abs(noise.std() / 1.5 - 1) < 5 / np.sqrt(2 * len(x))
