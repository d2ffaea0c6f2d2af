import jax
import numpy as np
import pytest

from posterium import MLP, Gaussian, Model, Normal, as_data
from posterium.driver.batches import Shuffled

RNG = np.random.default_rng(3)
X = RNG.normal(size=(23, 2))
Y = RNG.normal(size=23)
WEIGHT = RNG.uniform(0.2, 3, size=23)
MODEL = Model(MLP(hidden=(3,), activation="tanh"), Normal(), Gaussian(0.6))
KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def weights():
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, MODEL.network.init(KEY, X))


def terms(weights, data):
    with jax.enable_x64(True):
        log_prior, log_likelihood, _ = MODEL.log_joint(weights, data)
        return float(log_prior), float(log_likelihood)


def slope(weights, data):
    with jax.enable_x64(True):
        grad = jax.grad(lambda w: sum(MODEL.log_joint(w, data)[:2]))(weights)
        return np.asarray(jax.flatten_util.ravel_pytree(grad)[0])


def partition(data, batch_size):
    """Return the batches of one epoch, the last one padded."""
    source = Shuffled(KEY, data, batch_size)
    plan = source.plan(0, source.per_epoch, source.per_epoch)
    with jax.enable_x64(True):
        return [jax.tree.map(np.asarray, data.take(rows)) for rows in plan.rows]


@pytest.mark.parametrize("batch_size", [1, 5, 22])
def test_the_row_weighted_average_over_a_partition_is_the_full_value(weights, batch_size):
    data = as_data(X, Y, weight=WEIGHT)
    parts = partition(data, batch_size)
    shares = [np.sum(part.weight > 0) / len(X) for part in parts]
    found = sum(s * np.array(terms(weights, part)) for s, part in zip(shares, parts, strict=True))
    assert np.abs(found - terms(weights, data)).max() < 1e-10


def test_so_is_the_gradient_with_a_short_last_batch(weights):
    data = as_data(X, Y)
    parts = partition(data, 5)
    found = sum(float(np.sum(part.weight)) / 23 * slope(weights, part) for part in parts)
    plain = sum(slope(weights, part) for part in parts) / 5
    assert np.abs(found - slope(weights, data)).max() < 1e-10
    assert np.abs(plain - slope(weights, data)).max() > 1e-3


def test_doubled_rows_double_the_likelihood_and_leave_the_prior(weights):
    once = terms(weights, as_data(X, Y))
    twice = terms(weights, as_data(np.tile(X, (2, 1)), np.tile(Y, 2)))
    weighted = terms(weights, as_data(X, Y, weight=np.full(23, 2.0)))
    assert np.abs(np.subtract(twice, (once[0], 2 * once[1]))).max() < 1e-10
    assert np.abs(np.subtract(twice, weighted)).max() < 1e-10


def test_the_order_of_rows_does_not_matter(weights):
    order = RNG.permutation(23)
    one, other = terms(weights, as_data(X, Y)), terms(weights, as_data(X[order], Y[order]))
    assert np.abs(np.subtract(one, other)).max() < 1e-10


def test_a_batch_of_nothing_has_no_likelihood_and_no_nan(weights):
    part = as_data(X, Y).take(np.array([-1, -1]))
    assert terms(weights, part)[1] == 0
    assert np.isfinite(slope(weights, part)).all()


@pytest.mark.parametrize(
    ("x", "y", "weight", "said"),
    [
        (X[:, 0], Y, None, r"x\[:, None\]"),
        (X, Y[:-1], None, "same number of rows; got 23, 22"),
        (X, Y, WEIGHT[:-1], "same number of rows"),
        (X, Y, -WEIGHT, "must not be negative"),
        (X, Y, 0 * WEIGHT, "at least one row must count"),
        (np.where(X > 2, np.nan, X) + 0 * X.max(), Y, None, "x must be finite; row"),
        ((X > 0) * 2**31, Y, None, "x must hold integers of at most 32 bits; got 0 to 2147483648"),
        (X.astype(str), Y, None, "x must hold numbers, integers or booleans; got <U"),
        (X, (Y > 0) * 2**32, None, "y must hold integers of at most 32 bits"),
        (X, (Y > 0).astype(str), None, "y must hold numbers"),
    ],
)
def test_data_that_do_not_go_together_are_refused(x, y, weight, said):
    if said.startswith("x must be finite"):
        x = x.copy()
        x[3, 0] = np.nan
    with pytest.raises(ValueError, match=said):
        as_data(x, y, weight=weight)
