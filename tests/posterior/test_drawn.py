"""Functions drawn and kept: the same at every call, with the law of the posterior."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from posterium import (
    MAP,
    MLP,
    Categorical,
    Exact,
    Fit,
    Gaussian,
    Linear,
    MCDropout,
    Model,
    Normal,
    Poisson,
    Verdict,
    Weights,
    as_data,
    draw_functions,
    fit,
    predict,
)
from posterium.numerics import trees
from posterium.numerics.covariances.dense import Diagonal
from posterium.posterior.posterior import (
    Draw,
    DropoutPosterior,
    GaussianPosterior,
    Mixture,
    Point,
    Samples,
)
from posterium.posterior.sampling import Sampling

KEY = jax.random.key(4)
RNG = np.random.default_rng(1)
X = RNG.normal(size=(30, 2))
Y = X @ [1.0, -0.5] + 0.5 * RNG.normal(size=30)
LINE = Model(Linear(), Normal(1.0, "none"), Gaussian(0.5))


@pytest.fixture(scope="module")
def exact():
    return fit(KEY, LINE, as_data(X, Y), Exact())


def sampled(chains=2, steps=5, model=LINE):
    """Return a fit of draws whose coefficients say which they are."""
    number = np.arange(chains * steps, dtype=float).reshape(chains, steps)
    coefficients = number[..., None, None] * np.array([1.0, 0, 0])[:, None]
    return Fit(Samples(Draw(Weights({"coefficients": coefficients}))), model, {}, Verdict(), "NUTS",
               "float64")  # fmt: skip


def points(count):
    """Return a deep ensemble whose members say which they are."""
    coefficients = np.arange(float(count))[:, None, None] * np.array([1.0, 0, 0])[:, None]
    models = trees.to_numpy(trees.stack(LINE, count))
    mixture = Mixture(Point(Weights({"coefficients": coefficients})), models)
    return Fit(mixture, LINE, {}, Verdict(), "Ensemble", precision="float64")


def test_a_function_is_the_same_at_every_call(exact):
    f = draw_functions(KEY, exact, 40)
    x = RNG.normal(size=(300, 2))
    whole = f(x)
    assert whole.shape == (40, 300, 1)
    np.testing.assert_array_equal(f(x[260:]), whole[:, 260:])
    np.testing.assert_array_equal(f(x[::-1]), whole[:, ::-1])
    np.testing.assert_array_equal(draw_functions(KEY, exact, 40)(x), whole)
    np.testing.assert_allclose(f[3](x), whole[3:4], rtol=1e-12)
    assert len(f[10:]) == 30
    assert np.abs(draw_functions(jax.random.key(5), exact, 40)(x) - whole).max() > 0.01


def test_functions_have_the_joint_law_of_the_posterior(exact):
    x, count = RNG.normal(size=(3, 2)), 4000
    values = draw_functions(KEY, exact, count)(x)[:, :, 0]
    design = np.column_stack([np.ones(30), X])
    inverse = np.linalg.inv(np.eye(3) + design.T @ design / 0.25)
    at = np.column_stack([np.ones(3), x])
    mean, covariance = at @ inverse @ design.T @ Y / 0.25, at @ inverse @ at.T
    assert (np.abs(values.mean(axis=0) - mean) < 5 * np.sqrt(np.diag(covariance) / count)).all()
    variance = np.diag(covariance)
    error = np.sqrt((covariance**2 + np.outer(variance, variance)) / count)
    assert (np.abs(np.cov(values.T) - covariance) < 5 * error).all()


def test_the_function_inside_of_jax_is_the_same_and_has_slopes(exact):
    f = draw_functions(KEY, exact, 2)
    with jax.enable_x64(True):
        x = jnp.asarray(X[:5])
        np.testing.assert_allclose(jax.jit(f.apply)(x), f(X[:5]), rtol=1e-12)
        slope = jax.grad(lambda x: f.apply(x)[0, 0, 0])(x)
    weights = f.functions[0][1].params["coefficients"]
    np.testing.assert_allclose(slope[0], weights[0, 1:, 0], rtol=1e-9)
    assert not np.asarray(slope[1:]).any()


def test_draws_of_a_sampler_are_taken_at_random_and_none_twice_before_all():
    f = draw_functions(KEY, sampled(), 10)
    assert sorted(f(X[:1])[:, 0, 0]) == list(range(10))
    firsts = {draw_functions(jax.random.key(i), sampled())(X[:1]).item() for i in range(40)}
    assert len(firsts) > 7
    again = draw_functions(KEY, sampled(), 25)(X[:1])[:, 0, 0]
    assert np.bincount(again.astype(int)).min() >= 2


def test_members_are_taken_at_random_and_none_twice_before_all():
    f = draw_functions(KEY, points(4), 6)(X[:1])[:, 0, 0]
    assert sorted(f[:4]) == [0, 1, 2, 3]
    assert len(set(f[4:])) == 2
    firsts = {draw_functions(jax.random.key(i), points(4))(X[:1]).item() for i in range(30)}
    assert firsts == {0, 1, 2, 3}


def test_functions_of_counts_and_classes_are_means_and_probabilities():
    x = RNG.normal(size=(4, 2))
    counts = sampled(1, 2, Model(Linear(), Normal(), Poisson(2.0)))
    values = draw_functions(KEY, counts, 2)(x)
    np.testing.assert_allclose(np.sort(values[:, 0, 0]), [2.0, 2 * np.e])
    label = np.arange(30) % 3
    model = Model(MLP(outputs=3, hidden=(4,)), Normal(), Categorical())
    found = fit(KEY, model, as_data(X, label), MAP(steps=20))
    probs = draw_functions(KEY, found)(x)
    np.testing.assert_allclose(probs[0], predict(KEY, found, x).probs, rtol=1e-5)


def made(kind):
    """Return a fit of a small network made by hand, of one posterior or of two members."""
    network = MLP(hidden=(6,), activation="tanh", dropout=0.3 if "dropout" in kind else 0.0)
    model = Model(network, Normal(), Gaussian(0.5))
    weights = trees.to_numpy(network.init(KEY, X.astype(np.float32)))
    if "dropout" in kind:
        posterior = DropoutPosterior(weights)
    else:
        sd = np.full(trees.count(weights.params), 0.2, np.float32)
        how = "linear" if "linear" in kind else "draws"
        posterior = GaussianPosterior(weights, Diagonal(sd), how)
    if "members" in kind:
        posterior, model = Mixture(*trees.to_numpy(trees.stack((posterior, model), 2))), model
    return Fit(posterior, model, {}, Verdict(), kind)


@pytest.mark.parametrize("kind", ["dropout members",
    *(pytest.param(kind, marks=pytest.mark.slow)
      for kind in ("linear", "linear members", "draws", "dropout")),
])  # fmt: skip
def test_functions_of_networks_agree_with_predictions(kind):
    found = made(kind)
    values = draw_functions(KEY, found, 600)(X[:3])
    sound = predict(KEY, found, X[:3], draws=600)
    error = np.sqrt(2 * sound.epistemic_var / 600)
    assert (np.abs(values.mean(axis=0) - sound.mean) < 5 * error).all()
    assert (np.abs(values.std(axis=0) / sound.epistemic_sd - 1) < 0.2).all()


def test_what_cannot_be_drawn_is_refused(exact):
    with pytest.raises(TypeError, match="typed key"):
        draw_functions(3, exact)
    for count in (0, 1.5, True):
        with pytest.raises(ValueError, match="whole number"):
            draw_functions(KEY, exact, count)
    with pytest.raises(ValueError, match="max_bytes is 100"):
        draw_functions(KEY, exact, 1000, max_bytes=100)
    f = draw_functions(KEY, exact, 2)
    with pytest.raises(ValueError, match="max_bytes is 100"):
        f(X, max_bytes=100)
    with pytest.raises(ValueError, match="columns that were fitted"):
        f(X[:, :1])


def test_rows_with_masks_of_their_own_are_no_functions():
    model = Model(MLP(hidden=(4,), dropout=0.2), Normal(), Gaussian(0.5))
    found = fit(KEY, model, as_data(X, Y), MCDropout(MAP(steps=2), masks="row"))
    with pytest.raises(ValueError, match="masks='draw'"):
        draw_functions(KEY, found)


def test_predictions_know_how_their_draws_came_about(exact):
    assert predict(KEY, exact, X).sampling == Sampling(exact=True)
    assert predict(KEY, exact, X, how="draws", draws=9).sampling == Sampling()
    assert predict(KEY, sampled(3, 4), X).sampling == Sampling(chains=3)
    assert predict(KEY, points(4), X).sampling == Sampling(4, exact=True)
    assert predict(KEY, made("linear members"), X).sampling == Sampling(2, exact=True)
    assert predict(KEY, made("dropout members"), X, draws=4).sampling == Sampling(2)
    assert str(Sampling(4, chains=2)) == "4 members, draws of 2 chains"
    assert str(Sampling(4, exact=True)) == "4 members, each exact"
    assert str(Sampling()) == "independent draws"
