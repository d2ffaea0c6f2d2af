"""Coordinates of the Gaussian families: scales, factors, and the arrays that are matrices."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.numerics.families.cases import MEAN, SHAPES, moved

from posterium.numerics import trees
from posterium.numerics.families.base import log_positive, positive, raw_of
from posterium.numerics.families.gaussian import FullRank, MeanField
from posterium.numerics.families.low_rank import LowRank
from posterium.numerics.families.matrix_normal import MatrixNormal


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("scale", [1e-30, 1e-4, 0.999, 1.0, 1.001, 1e4])
def test_the_coordinate_of_a_scale_leads_back_to_it(scale):
    raw = raw_of(jnp.asarray(scale))
    assert positive(raw) == pytest.approx(scale, rel=1e-12)
    assert log_positive(raw) == pytest.approx(np.log(scale), abs=1e-12)


@pytest.mark.parametrize("family", [MeanField(), MeanField(cap=2.0)], ids=["free", "capped"])
def test_the_sds_of_every_array_are_read_off_the_coordinates(family):
    params = {"layer": {"bias": np.zeros(2), "kernel": np.zeros((3, 2))}}
    raw = moved(family)
    sds = trees.ravel(params)[1](np.sqrt(family.covariance(raw).variance()))
    scales = raw["scale"]
    expected = positive(scales) if family.cap is None else 2 / (1 + np.exp(-scales))
    np.testing.assert_allclose(sds["layer"]["bias"], expected[:2], rtol=1e-12)
    np.testing.assert_allclose(sds["layer"]["kernel"].ravel(), expected[2:], rtol=1e-12)


def test_the_full_family_ignores_what_is_above_the_diagonal():
    raw = np.random.default_rng(3).normal(size=(4, 4))
    changed = raw + np.triu(np.full((4, 4), 7.0), 1)
    factor = FullRank().covariance({"scale": changed}).factor
    np.testing.assert_array_equal(factor, FullRank().covariance({"scale": raw}).factor)
    np.testing.assert_array_equal(factor, np.tril(factor))
    np.testing.assert_array_equal(np.tril(factor, -1), np.tril(raw, -1))


def test_low_rank_keeps_its_digits_where_columns_are_large_and_nearly_alike():
    """There the determinant by V^T V, and the quadratic form by Woodbury, have none left."""
    columns = np.repeat(1e4 * np.arange(8.0)[:, None], 2, axis=1)
    columns[:, 1] += np.resize([1, -1, 0], 8)
    raw = {"mean": MEAN, "scale": np.full(8, -1.0), "factor": columns}
    z = np.random.default_rng(0).integers(-2, 3, 10)
    offset = z[:8] + columns @ z[8:]
    inner = np.eye(8) + columns @ columns.T
    form = offset @ np.linalg.solve(inner, offset) + np.linalg.slogdet(inner)[1]
    expected = -0.5 * (form + 8 * np.log(2 * np.pi)) + 8
    with jax.enable_x64(False):
        low = jax.tree.map(lambda a: np.asarray(a, np.float32), (raw, z))
        assert jax.jit(LowRank(2).log_prob_of)(*low) == pytest.approx(expected, abs=0.02)


def test_a_rank_below_one_is_refused():
    with pytest.raises(ValueError, match="rank of at least 1; got 0"):
        LowRank(rank=0)


def test_more_columns_than_weights_are_a_covariance_as_any():
    raw = {"scale": np.full(3, -1.0), "factor": np.arange(15.0).reshape(3, 5)}
    dense = np.exp(-2) * (np.eye(3) + raw["factor"] @ raw["factor"].T)
    found = jax.jit(LowRank(rank=5).log_det)(raw)
    assert found == pytest.approx(np.linalg.slogdet(dense)[1], abs=1e-10)


LAYOUT = (("*bias", "no sum"), ("query/*", "inputs, heads"), ("conv/*", "outputs first"),
          ("heads/scale", "stacked, no sum"), ("heads/*", "stacked, outputs first"))  # fmt: skip


@pytest.mark.parametrize(
    ("path", "shape", "matrix"),
    [
        ("dense/kernel", (3, 2), (3, 2)),
        ("window/kernel", (3, 3, 4, 5), (36, 5)),
        ("conv/weight", (5, 4, 3, 3), (5, 36)),
        ("query/kernel", (6, 2, 3), (6, 6)),
        ("heads/weight", (4, 5, 6), (20, 6)),
        ("heads/scale", (4, 5), None),
        ("position/bias", (3, 4), None),
        ("scale", (7,), None),
    ],
)
def test_an_array_is_split_where_the_network_keeps_its_outputs(path, shape, matrix):
    start = functools.partial(MatrixNormal(LAYOUT).start, shapes=((path, shape),))
    (part,) = jax.eval_shape(start, np.zeros(np.prod(shape)), np.ones(()))["parts"]
    found = tuple(len(part[name]) for name in ("rows", "columns") if name in part)
    assert found == (matrix or ())
    assert found or part["scale"].shape == (np.prod(shape),)


def test_the_matrices_of_a_matrix_normal_vary_by_rows_and_columns():
    family = MatrixNormal()
    raw = moved(family)
    rows, columns = (np.tril(raw["parts"][1][k], -1) for k in ("rows", "columns"))
    rows += np.diag(positive(jnp.diagonal(raw["parts"][1]["rows"])))
    columns += np.diag(positive(jnp.diagonal(raw["parts"][1]["columns"])))
    z = np.random.default_rng(2).normal(size=8)
    draw = np.asarray(family.draw(raw, jnp.asarray(z))) - raw["mean"]
    np.testing.assert_allclose(draw[2:], (rows @ z[2:].reshape(3, 2) @ columns.T).ravel())
    np.testing.assert_allclose(draw[:2], positive(raw["parts"][0]["scale"]) * z[:2])
    assert [path for path, _ in SHAPES] == ["layer/bias", "layer/kernel"]
