"""The walk: what it follows, what it settles, what it keeps as it is; seen through `noise`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.numerics import nets

from posterium.numerics import interpret, noise

X = jnp.asarray(nets.inputs(1, 4, 3))
W = jnp.asarray(nets.inputs(2, 3, 3))
KEY = jax.random.key(0)


@pytest.fixture(autouse=True)
def broadcasting():
    with jax.numpy_rank_promotion("allow"):
        yield


def once(x):
    """Return a 1 that the tracer does not know."""
    return jnp.sum(0 * x).astype(int) + 1


def treatments(f, **params):
    """Return treatment and reason of each weight, on a batch of four rows of three."""
    entries = noise.coverage(f, params, X).entries
    return {path: (treatment, reason) for path, treatment, reason in entries}


def at_mean(f, params, x=X):
    """Return what the walk makes of a function when nothing is uncertain."""

    @jax.jit
    def draw(params, x):
        return noise.draw(f, params, jax.tree.map(jnp.zeros_like, params), x, KEY)[0]

    return draw(params, x)


@pytest.mark.parametrize(
    "call",
    [
        lambda f: f,
        jax.jit,
        lambda f: jax.jit(jax.jit(f)),
        jax.checkpoint,
        lambda f: jax.vmap(f, in_axes=(None, 0)),
    ],
    ids=["none", "jit", "nested", "remat", "vmap"],
)
def test_weights_are_followed_through_calls(call):
    inner = call(lambda w, x: jnp.tanh(x @ w.T))
    found = treatments(lambda p, x: inner(p["w"].astype(jnp.float32), x), w=W)
    assert found["w"][0] == "local"
    params = {"w": W}
    result = at_mean(lambda p, x: inner(p["w"], x), params)
    np.testing.assert_allclose(result, jnp.tanh(X @ W.T), rtol=1e-5)


def test_weights_are_followed_through_moves_of_their_entries():
    def f(p, x):
        pair = jnp.flip(p["w"].reshape(3, 3, 1).transpose(2, 1, 0), 1)[0]
        return x @ pair[:, 1:]

    assert treatments(f, w=W)["w"][0] == "local"
    np.testing.assert_allclose(at_mean(f, {"w": W}), X @ W.T[::-1][:, 1:], rtol=1e-5)


@pytest.mark.parametrize(
    ("f", "reason"),
    [
        (lambda p, x: x @ p["w"] @ p["w"], "used more than once"),
        (lambda p, x: x @ p["w"] + x @ p["w"].T, "used more than once"),
        (lambda p, x: jax.jit(lambda a, b: x @ a @ b)(p["w"], p["w"]), "used more than once"),
        (lambda p, x: x @ jnp.exp(p["w"]), "enters exp"),
        (lambda p, x: x @ (p["w"] @ p["w2"]), "multiplies another weight"),
        (lambda p, x: x @ (p["w"] + p["w2"]), "meets another weight"),
        (lambda p, x: x @ (2 * p["w"]), "meets what is the same in every row"),
        (lambda p, x: x + 0 * jnp.sum(p["w"]), "enters reduce_sum"),
        (
            lambda p, x: jnp.einsum("ni,bij->nbj", x, jnp.broadcast_to(p["w"], (3, 3, 3))),
            "repeated before its product",
        ),
        (lambda p, x: jnp.tile(x, 2) @ jnp.tile(p["w"], (2, 1)), "repeated before its product"),
        (
            lambda p, x: jax.lax.cond(jnp.sum(0 * x) < 1, lambda w: x @ w, lambda w: x, p["w"]),
            "enters a branch",
        ),
        (
            lambda p, x: jax.lax.fori_loop(0, once(x), lambda i, x: x @ p["w"], x),
            "enters a loop",
        ),
        (
            lambda p, x: jax.lax.scan(lambda x, _: (x @ p["w"], None), x, length=2)[0],
            "used at every step of a scan",
        ),
        (lambda p, x: x @ p["w"].astype(int), "enters convert_element_type"),
        (lambda p, x: x @ round_through(p["w"]), "enters a function with its own derivative"),
        (lambda p, x: x @ clipped(p["w"]), "enters a function with its own derivative"),
        (lambda p, x: x[:, 0] * 0 + jnp.arange(9.0)[None, :] @ p["w"].ravel(), "the same in every"),
    ],
)
def test_what_has_no_rule_or_is_used_twice_is_one_draw_for_all_rows(f, reason):
    treatment, told = treatments(f, w=W, w2=W)["w"]
    assert treatment == "shared"
    assert reason in told
    params = {"w": W, "w2": W}
    np.testing.assert_allclose(at_mean(f, params), jax.jit(f)(params, X), rtol=2e-5)


@jax.custom_jvp
def round_through(w):
    """Round, with the derivative of the identity."""
    return jnp.round(w)


@jax.custom_vjp
def clipped(w):
    """Return what comes, with a gradient within bounds."""
    return 1.0 * w


clipped.defvjp(lambda w: (w, None), lambda _, slope: (jnp.clip(slope, -1, 1),))


round_through.defjvp(lambda primals, tangents: (jnp.round(primals[0]), tangents[0]))


def test_derivatives_of_ones_own_are_kept():
    def total(w):
        return at_mean(lambda p, x: x @ round_through(p["w"]), {"w": w}).sum()

    expected = np.broadcast_to(np.asarray(X).sum(0)[:, None], (3, 3))
    np.testing.assert_allclose(jax.grad(total)(W), expected, rtol=1e-5)


def test_what_is_recomputed_in_the_backward_pass_still_is():
    def f(p, x):
        return jax.checkpoint(lambda w, x: (jnp.sin(x @ w), w))(p["w"], x)[0]

    walked = jax.make_jaxpr(lambda w: at_mean(f, {"w": w}))(W)
    assert "remat" in str(walked) or "checkpoint" in str(walked)
    plain = jax.grad(lambda w: f({"w": w}, X).sum())(W)
    found = jax.grad(lambda w: at_mean(f, {"w": w}).sum())(W)
    np.testing.assert_allclose(found, plain, rtol=1e-4, atol=1e-5)


def test_a_use_that_no_output_depends_on_does_not_count():
    def f(p, x):
        jnp.exp(p["w"])
        return x @ p["w"]

    assert treatments(f, w=W, spare=W, count=jnp.arange(3)) == {
        "w": ("local", "each weight enters one output"),
        "spare": ("unused", "no output depends on it"),
        "count": ("fixed", "not a floating-point array"),
    }


def test_integers_among_the_parameters_are_fixed():
    def f(p, x):
        return (x + p["shift"]) @ p["w"]

    params = {"shift": jnp.arange(3), "w": W}
    assert treatments(f, **params)["shift"] == ("fixed", "not a floating-point array")
    np.testing.assert_allclose(at_mean(f, params), (X + jnp.arange(3)[None]) @ W, rtol=1e-5)


def test_inputs_and_outputs_may_be_trees():
    def f(p, x):
        return {"sum": x["a"] @ p["w"] + x["b"], "b": x["b"]}

    found = at_mean(f, {"w": W}, {"a": X, "b": X})
    np.testing.assert_allclose(found["sum"], X @ W + X, rtol=1e-5)
    np.testing.assert_array_equal(found["b"], X)


def test_coverage_prints_as_a_table():
    found = noise.coverage(nets.tied, {"w": W, "b": X[0]}, X)
    assert str(found) == "b  per row  enters add\nw  shared   used more than once"
    assert found.treatment("b") == "per row"
    with pytest.raises(KeyError, match="Expected a path out of b, w; got 'c'"):
        found.treatment("c")


@pytest.mark.parametrize("reduce", [jnp.sum, lambda out: out.sum(0), lambda out: out.T])
def test_a_function_without_an_output_a_row_is_refused(reduce):
    with pytest.raises(ValueError, match="an output a row, with rows first"):
        noise.coverage(lambda p, x: reduce(x @ p["w"]), {"w": W}, X)


def test_rows_that_are_normalised_together_are_found():
    assert interpret.rows_are_alone(lambda p, x: x @ p["w"], {"w": W}, X)
    assert not interpret.rows_are_alone(
        lambda p, x: jax.nn.standardize(x @ p["w"], axis=0), {"w": W}, X
    )
