"""Draws of outputs against naive sampling of the weights; and what each draw costs and gains."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.numerics import nets

from posterium.numerics import interpret, noise

DRAWS = 20_000
TOLERANCE = 4
"""Standard errors that two estimates may be apart."""


@pytest.fixture(autouse=True)
def broadcasting():
    """Networks that people bring add vectors to batches."""
    with jax.numpy_rank_promotion("allow"):
        yield


def case(f, x, **shapes):
    """Return a function, its inputs of at least two rows, means and sds."""
    return (f, jnp.asarray(x), *nets.weights(0, **shapes))


CASES = {
    "dense": case(
        nets.dense, nets.inputs(1, 2, 3), w1=(3, 4), b1=(4,), scale=(4,), w2=(4, 2), b2=(2,)
    ),
    "conv": case(
        nets.conv, nets.inputs(2, 2, 4, 5, 2), k1=(2, 2, 2, 2), b1=(2,), k2=(1, 3, 1, 4), w=(24, 2)
    ),
    "tied": case(nets.tied, nets.inputs(3, 2, 3), w=(3, 2), b=(3,)),
    "recurrent": case(
        nets.recurrent, nets.inputs(4, 2, 3, 2), **{"in": (2, 3), "loop": (3, 3), "out": (3, 2)}
    ),
    "embedding": case(
        nets.embedding,
        jnp.array([[0, 1, 0], [2, 1, 3]]),
        table=(4, 2),
        mix=(2, 3),
        b=(3,),
        out=(3, 1),
    ),
    "heads": case(nets.heads, nets.inputs(7, 2, 2, 2, 2), w=(2, 2, 2)),
    "pooled": case(nets.pooled, jnp.array([[0, 1, 0], [2, 1, 3]]), table=(4, 2), out=(2, 2)),
}


def sample(f, x, mean, sd, mode, draws=DRAWS):
    """Return draws of the outputs, (s, n, k), and the coverage."""
    keys = jax.random.split(jax.random.key(5), draws)
    one = jax.jit(jax.vmap(lambda key: noise.draw(f, mean, sd, x, key, mode=mode)[0]))
    return np.asarray(one(keys), float), noise.coverage(f, mean, x, mode=mode)


def naive(f, x, mean, sd, shared=None):
    """Return draws (s, n, k) with weights of their own for each row, but for the shared ones."""
    rng = np.random.default_rng(6)
    shared = mean if shared is None else shared

    def batch(name):
        rows = 1 if name in shared else len(x)
        unit = rng.normal(size=(DRAWS, rows, *mean[name].shape)).astype(np.float32)
        return np.broadcast_to(mean[name] + sd[name] * unit, (DRAWS, len(x), *mean[name].shape))

    def row(params, x):
        return f(params, x[None])[0]

    drawn = {name: batch(name) for name in mean}
    return np.asarray(jax.jit(jax.vmap(jax.vmap(row), in_axes=(0, None)))(drawn, x), float)


def covariance(a, b):
    """Return the covariances of all pairs of columns (s, k), (s, l), and their standard errors."""
    products = (a - a.mean(0))[:, :, None] * (b - b.mean(0))[:, None, :]
    return products.mean(0), products.std(0) / np.sqrt(len(a))


def furthest(one, other):
    """Return by how many standard errors estimates (value, error) differ at most."""
    return np.max(np.abs(one[0] - other[0]) / np.hypot(one[1], other[1]))


def mean_of(draws):
    return draws.mean(0), draws.std(0) / np.sqrt(len(draws))


def within(draws, row):
    return covariance(draws[:, row], draws[:, row])


def across(draws):
    return covariance(draws[:, 0], draws[:, 1])


@pytest.fixture(scope="module")
def oracle():
    """Naive draws of a case by what is shared, computed once."""
    kept = {}

    def get(name, shared=None):
        at = name, None if shared is None else tuple(sorted(shared))
        if at not in kept:
            kept[at] = naive(*CASES[name], shared)
        return kept[at]

    return get


@pytest.mark.parametrize("mode", noise.MODES)
@pytest.mark.parametrize("name", CASES)
def test_a_row_has_the_mean_and_covariance_of_naive_sampling(name, mode, oracle):
    found, coverage = sample(*CASES[name], mode)
    expected = oracle(name)
    for row in range(2):
        assert furthest(mean_of(found[:, row]), mean_of(expected[:, row])) < TOLERANCE
        assert furthest(within(found, row), within(expected, row)) < TOLERANCE
    if not any(treatment == "flipout" for _, treatment, _ in coverage.entries):
        shared = [path for path, treatment, _ in coverage.entries if treatment == "shared"]
        assert furthest(across(found), across(oracle(name, shared))) < TOLERANCE


def test_rows_are_uncorrelated_under_local_reparameterisation():
    found, coverage = sample(*CASES["dense"], "local")
    assert {treatment for _, treatment, _ in coverage.entries} == {"local", "per row"}
    values, errors = across(found)
    assert np.max(np.abs(values) / errors) < TOLERANCE
    values, errors = across(sample(*CASES["dense"], "shared")[0])
    assert np.max(np.abs(values) / errors) > 10 * TOLERANCE


def linear_conv(params, x):
    """Return all positions of one convolution."""
    numbers = ("NHWC", "HWIO", "NHWC")
    maps = jax.lax.conv_general_dilated(x, params["k"], (1, 1), "VALID", dimension_numbers=numbers)
    return maps.reshape(x.shape[0], -1)


@pytest.mark.parametrize(
    ("mode", "setting"),
    [
        ("local", case(linear_conv, nets.inputs(2, 2, 3, 3, 2), k=(2, 2, 2, 2))),
        ("flipout", case(linear_conv, nets.inputs(2, 2, 3, 3, 2), k=(2, 2, 2, 2))),
        ("flipout", case(lambda params, x: x @ params["k"], nets.inputs(3, 2, 3), k=(3, 2))),
    ],
)
def test_rows_are_uncorrelated_under_flipout_where_outputs_are_linear_in_the_noise(mode, setting):
    found, coverage = sample(*setting, mode)
    assert coverage.treatment("k") == "flipout"
    values, errors = across(found)
    assert np.max(np.abs(values) / errors) < TOLERANCE
    assert furthest(within(found, 0), within(naive(*setting), 0)) < TOLERANCE


def test_rows_share_magnitudes_under_flipout():
    """Where flipout is not independence: the square of one perturbed weight is the same for all."""
    setting = case(lambda params, x: (x @ params["w"]) ** 2, jnp.ones((2, 1)), w=(1, 1))
    f, x, mean, sd = setting
    found, _ = sample(f, x, jax.tree.map(jnp.zeros_like, mean), sd, "flipout")
    np.testing.assert_allclose(found[:, 0], found[:, 1], rtol=1e-5)


def test_noise_for_each_position_would_have_another_law():
    """Where local reparameterisation is not exact: two positions of one row share the weight."""
    f, x, mean, sd = case(linear_conv, jnp.ones((1, 1, 2, 1)), k=(1, 1, 1, 1))
    found, coverage = sample(f, x, mean, sd, "local")
    assert coverage.treatment("k") == "flipout"
    np.testing.assert_allclose(found[:, 0, 0], found[:, 0, 1], rtol=1e-5)


def test_a_draw_for_each_look_up_would_have_another_law():
    """Where gathers may not be drawn anew: one token stands twice in a row, and in two rows."""

    def table(params, tokens):
        return params["table"][tokens][:, :, 0]

    f, x, mean, sd = case(table, jnp.array([[1, 1, 0], [1, 2, 2]]), table=(3, 1))
    found, coverage = sample(f, x, mean, sd, "local", draws=10)
    assert coverage.treatment("table") == "shared"
    np.testing.assert_array_equal(found[:, 0, 0], found[:, 0, 1])
    np.testing.assert_array_equal(found[:, 0, 0], found[:, 1, 0])


def test_a_bias_is_one_draw_a_row_at_all_positions():
    """Where a draw for each entry of a sum would not be exact: positions share the bias."""

    def shifted(params, x):
        return x + params["b"]

    f, x, mean, sd = case(shifted, jnp.zeros((2, 3, 2)), b=(2,))
    found, coverage = sample(f, x, mean, sd, "local", draws=10)
    assert coverage.treatment("b") == "per row"
    np.testing.assert_array_equal(found[:, :, 0], found[:, :, 1])
    assert np.all(found[:, 0] != found[:, 1])


def test_a_bias_takes_no_number_beside_those_of_its_product():
    """A sum of independent Gaussians is drawn as one: four numbers a row, not eight."""
    f, x, mean, sd = case(lambda p, x: x @ p["w"] + p["b"], nets.inputs(1, 2, 3), w=(3, 4), b=(4,))
    plan = noise._plan(interpret.trace(f, mean, x), "local", jax.tree.leaves(mean))
    assert plan.normals == 4
    found, coverage = sample(f, x, mean, sd, "local")
    assert [coverage.treatment(path) for path in ("w", "b")] == ["local", "per row"]
    values, errors = covariance(found[:, 0], found[:, 0])
    expected = np.diag(np.square(x[0]) @ np.square(sd["w"]) + np.square(sd["b"]))
    assert np.max(np.abs(values - expected) / errors) < TOLERANCE


def test_a_product_that_is_read_twice_has_one_draw():
    def twice(params, x):
        y = x @ params["w"]
        return jnp.concatenate([y + params["b"], y], axis=1)

    f, x, mean, sd = case(twice, nets.inputs(1, 2, 3), w=(3, 2), b=(2,))
    found, _ = sample(f, x, mean, sd | {"b": jnp.zeros(2)}, "local", draws=10)
    difference = found[:, :, :2] - found[:, :, 2:]
    expected = np.broadcast_to(np.asarray(mean["b"], float), difference.shape)
    np.testing.assert_allclose(difference, expected, atol=1e-5)


def test_a_product_may_leave_a_part_that_is_recomputed():
    def parts(params, x):
        return jax.checkpoint(lambda w, x: x @ w)(params["w"], x) + params["b"]

    f, x, mean, sd = case(parts, nets.inputs(1, 2, 3), w=(3, 2), b=(2,))

    @jax.jit
    def slope(sd):
        return jax.grad(lambda sd: noise.draw(f, mean, sd, x, jax.random.key(0))[0].sum())(sd)

    assert all(np.all(leaf != 0) for leaf in jax.tree.leaves(slope(sd)))


def dots(mode, rows=100):
    """Return the shapes of the matrix products that a draw compiles to, and their FLOPs."""
    mean, sd = nets.weights(0, w1=(3, 50), b1=(50,), scale=(50,), w2=(50, 2), b2=(2,))
    x = nets.inputs(1, rows, 3)
    jaxpr = jax.make_jaxpr(lambda k: noise.draw(nets.dense, mean, sd, x, k, mode=mode)[0])(
        jax.random.key(0)
    )
    found = [eqn for eqn in jaxpr.jaxpr.eqns if eqn.primitive.name == "dot_general"]
    assert all(not eqn.params["dimension_numbers"][1][0] for eqn in found)
    return [eqn.invars[1].aval.shape for eqn in found]


@pytest.mark.parametrize("mode", ["local", "flipout"])
def test_a_batch_costs_two_products_for_one_and_never_one_a_row(mode):
    assert sorted(dots(mode)) == sorted([(3, 50), (50, 2)] * 2)


def test_gradients_vary_least_under_local_reparameterisation_and_most_under_a_shared_draw():
    """The gradient of a mean loss over 64 rows in the means of the first layer."""
    mean, sd = nets.weights(0, w1=(3, 20), b1=(20,), scale=(20,), w2=(20, 1), b2=(1,))
    sd = jax.tree.map(lambda s: s / 4, sd)
    x, y = jnp.asarray(nets.inputs(1, 64, 3)), nets.inputs(2, 64, 1)

    def variance(mode):
        def loss(mean, key):
            return jnp.mean((noise.draw(nets.dense, mean, sd, x, key, mode=mode)[0] - y) ** 2)

        keys = jax.random.split(jax.random.key(3), 200)
        grads = jax.jit(jax.vmap(lambda key: jax.grad(loss)(mean, key)["w1"]))(keys)
        return np.asarray(grads, float).var(0).sum()

    local, flipout, shared = map(variance, noise.MODES)
    assert 1.15 * local < flipout
    assert 4 * flipout < shared


def test_gradients_are_finite_where_all_inputs_of_a_product_are_zero():
    mean, sd = nets.weights(0, w=(3, 2))

    def total(sd, x):
        return noise.draw(lambda p, x: x @ p["w"], mean, sd, x, jax.random.key(0))[0].sum()

    grads = jax.grad(total, argnums=(0, 1))(sd, jnp.zeros((2, 3)))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(grads))
    np.testing.assert_array_equal(grads[0]["w"], 0)


def test_rows_that_the_example_does_not_reach_are_computed_once():
    """A graph network: features of all nodes come from the graph; the row picks its node."""
    graph, features = nets.inputs(1, 5, 5), nets.inputs(2, 5, 3)

    def network(params, nodes):
        return jnp.tanh(graph @ features @ params["w"] + params["b"])[nodes] @ params["out"]

    mean, sd = nets.weights(0, w=(3, 4), b=(4,), out=(4, 2))
    nodes = jnp.array([0, 3, 3])
    coverage = noise.coverage(network, mean, nodes)
    assert [coverage.treatment(path) for path in ("w", "b", "out")] == ["shared", "shared", "local"]
    out = noise.draw(network, mean, sd, nodes, jax.random.key(0))[0]
    assert out.shape == (3, 2)
    assert np.all(out[1] != out[2])


def test_rows_may_bring_keys_for_noise_of_the_networks_own():
    @jax.jit
    def dropout(params, batch):
        x, keys = batch
        keep = jax.vmap(lambda key: jax.random.bernoulli(key, 0.5, (4,)))(keys)
        return jnp.where(keep, x @ params["w"], 0)

    mean, _ = nets.weights(0, w=(3, 4))
    batch = jnp.ones((50, 3)), jax.random.split(jax.random.key(1), 50)
    none = jax.tree.map(jnp.zeros_like, mean)
    draw = jax.jit(lambda batch: noise.draw(dropout, mean, none, batch, jax.random.key(2))[0])
    out = draw(batch)
    np.testing.assert_allclose(out, dropout(mean, batch), rtol=1e-5)
    assert 0.3 < np.mean(np.asarray(out) == 0) < 0.7


def test_no_rows_give_no_outputs():
    mean, sd = nets.weights(0, w=(3, 4))
    x = jnp.ones((0, 3))
    assert noise.draw(lambda p, x: x @ p["w"], mean, sd, x, jax.random.key(0))[0].shape == (0, 4)


def test_coverage_comes_out_of_a_compiled_draw():
    mean, sd = nets.weights(0, w=(3, 4))

    @jax.jit
    def draw(key):
        return noise.draw(lambda p, x: x @ p["w"], mean, sd, jnp.ones((2, 3)), key)

    assert draw(jax.random.key(0))[1].treatment("w") == "local"


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="local, flipout, shared; got 'naive'"):
        noise.coverage(nets.dense, {}, jnp.ones((1, 1)), mode="naive")
