"""Subset: only the matching weights are uncertain; the others are frozen in the model."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.model.adapters.networks import CASES as FRAMEWORKS

from posterium import (
    MAP,
    MLP,
    Ensemble,
    Flat,
    Functions,
    Gaussian,
    Linear,
    Model,
    Normal,
    as_data,
    fit,
    learn,
    load,
    predict,
    save,
)
from posterium.combinators.subset import LargestVariance, Subset
from posterium.methods.laplace import Laplace
from posterium.model.subset import RestrictedPrior, matching
from posterium.numerics import trees

COMPILED: list[float] = []
jax.monitoring.register_event_duration_secs_listener(
    lambda name, seconds, **_: COMPILED.append(seconds) if "backend_compile" in name else None
)
KEY = jax.random.key(0)
RNG = np.random.default_rng(1)
X = RNG.normal(size=(15, 2))
Y = np.sin(X[:, :1]) + 0.1 * RNG.normal(size=(15, 1))
DATA = as_data(X, Y)
NET = MLP(hidden=(4,), activation="tanh")
PRECISION, NOISE = 0.3, 0.2
MODEL = Model(NET, Normal(PRECISION), Gaussian(NOISE))
WEIGHTS = jax.tree.map(np.asarray, NET.init(jax.random.key(3), X))
SHORT = MAP(steps=20)


def last_layer_oracle(weights):
    """Return precision and exact log evidence of the last layer, given the hidden one."""
    hidden, _ = weights.params["layers"]
    units = np.tanh(X @ np.float64(hidden["kernel"]) + np.float64(hidden["bias"]))
    design = np.c_[np.ones(len(X)), units]
    prior = PRECISION * np.array([1, 4, 4, 4, 4])
    marginal = design @ np.diag(1 / prior) @ design.T + NOISE**2 * np.eye(len(X))
    _, log_det = np.linalg.slogdet(2 * np.pi * marginal)
    evidence = -0.5 * (Y[:, 0] @ np.linalg.solve(marginal, Y[:, 0]) + log_det)
    return np.diag(prior) + design.T @ design / NOISE**2, design, evidence


@pytest.fixture(scope="module")
def last_layer():
    method = Subset(Laplace(at=MAP(steps=1, polish="newton")), rest=None)
    return fit(KEY, MODEL, DATA, method, start=WEIGHTS)


def test_the_last_layer_is_an_exact_linear_regression_on_the_frozen_units(last_layer):
    precision, design, evidence = last_layer_oracle(WEIGHTS)
    covariance = np.linalg.inv(precision)
    assert list(last_layer.posterior.mean.params) == ["layers/1/bias", "layers/1/kernel"]
    np.testing.assert_allclose(last_layer.posterior.covariance.dense(), covariance, atol=1e-8)
    assert last_layer.log_evidence == pytest.approx(evidence, abs=1e-8)
    assert last_layer.verdict.status == "ok"
    predicted = predict(KEY, last_layer, X)
    mean = design @ covariance @ design.T @ Y / NOISE**2
    np.testing.assert_allclose(predicted.mean, mean, atol=1e-8)
    variance = np.einsum("nm,ml,nl->n", design, covariance, design)
    np.testing.assert_allclose(predicted.epistemic_var[:, 0], variance, atol=1e-8)


def test_frozen_weights_are_those_that_were_given(last_layer):
    frozen = last_layer.model.network.frozen.params["layers"][0]
    for name, leaf in WEIGHTS.params["layers"][0].items():
        np.testing.assert_array_equal(frozen[name], leaf)


def test_a_restricted_fit_is_saved_and_loaded(last_layer, tmp_path):
    save(last_layer, tmp_path / "m.posterium")
    again = load(tmp_path / "m.posterium")
    assert again.model.network.paths == ("layers/1/bias", "layers/1/kernel")
    np.testing.assert_array_equal(predict(KEY, again, X).mean, predict(KEY, last_layer, X).mean)


def test_the_restricted_prior_counts_the_free_weights_only():
    paths = ("layers/0/kernel", "layers/1/kernel")
    with jax.enable_x64(True):
        prior = RestrictedPrior(MODEL.prior, WEIGHTS.params, paths)
        layers = WEIGHTS.params["layers"]
        params = {f"layers/{i}/kernel": jnp.float64(layers[i]["kernel"]) for i in (0, 1)}
        expected = sum(
            np.sum(-0.5 * np.log(2 * np.pi / t) - 0.5 * t * np.float64(layer["kernel"]) ** 2)
            for t, layer in zip((2 * PRECISION, 4 * PRECISION), layers, strict=True)
        )
        assert float(prior.log_prob(params)) == pytest.approx(expected, rel=1e-12)
        spread = prior.precision_of(params)
        np.testing.assert_allclose(spread["layers/0/kernel"], np.full((2, 4), 2 * PRECISION))
        drawn = prior.sample(KEY, params)
        assert {k: v.shape for k, v in drawn.items()} == {k: v.shape for k, v in params.items()}


def test_an_ensemble_of_subsets_freezes_different_weights_and_predicts_their_mixture():
    found = fit(KEY, MODEL, DATA, Ensemble(Subset(Laplace(at=None), rest=SHORT), 2))
    kernels = found.posterior.models.network.frozen.params["layers"][0]["kernel"]
    assert kernels.shape == (2, 2, 4)
    assert np.abs(kernels[0] - kernels[1]).max() > 0.1
    for i in range(2):
        part, model = found.posterior.member(i)
        precision, _, _ = last_layer_oracle(model.network.frozen)
        np.testing.assert_allclose(part.covariance.dense(), np.linalg.inv(precision), atol=1e-8)
    assert np.isfinite(predict(KEY, found, X).sd).all()


def test_the_rest_is_trained_with_the_priors_free_precision_held():
    model = Model(NET, Normal(learn(PRECISION)), Gaussian(learn(NOISE)))
    found = fit(KEY, model, DATA, Subset(Laplace(at=None), "layers/1/*", rest=SHORT))
    assert float(found.model.prior.prior.precision.value) == pytest.approx(PRECISION, rel=1e-6)
    assert abs(float(found.model.likelihood.scale.value) - NOISE) > 1e-3
    assert list(found.info) == ["descent", "restrict", "curvature", "log_evidence"]


def test_a_fit_gives_the_rest_and_its_noise():
    model = Model(NET, Normal(PRECISION), Gaussian(learn(NOISE)))
    rest = fit(KEY, model, DATA, SHORT)
    found = fit(KEY, model, DATA, Subset(Laplace(at=None), ("layers/0/bias", "*1/bias"), rest))
    assert list(found.posterior.mean.params) == ["layers/0/bias", "layers/1/bias"]
    noise = float(rest.model.likelihood.scale.value)
    assert float(found.model.likelihood.scale.value) == pytest.approx(noise, rel=1e-6)
    np.testing.assert_allclose(predict(KEY, found, X).mean, predict(KEY, rest, X).mean, atol=1e-5)
    with pytest.raises(ValueError, match="same free hyper-parameters"):
        fit(KEY, MODEL, DATA, Subset(Laplace(at=None), rest=rest))
    several = fit(KEY, model, DATA, Ensemble(SHORT, 2))
    with pytest.raises(ValueError, match="fit of one set of weights"):
        fit(KEY, model, DATA, Subset(Laplace(at=None), rest=several))


def test_a_pattern_that_matches_nothing_lists_the_paths():
    with pytest.raises(ValueError, match=r"'head/\*' matches none of: layers/0/bias"):
        fit(KEY, MODEL, DATA, Subset(Laplace(), ("layers/*", "head/*")))
    with pytest.raises(ValueError, match="must name weights; got none"):
        Subset(Laplace(), ())
    with pytest.raises(ValueError, match=r"start=weights"):
        fit(KEY, MODEL, DATA, Subset(Laplace(at=None), rest=None))


def test_patterns_keep_the_order_of_the_tree():
    assert matching(NET, WEIGHTS, X, ("layers/1/*", "*/bias")) == (
        "layers/0/bias",
        "layers/1/bias",
        "layers/1/kernel",
    )


def drawn(key, x):
    """Draw weights whose first ones by name are the last to be used."""
    one, two = jax.random.split(key)
    return {
        "z": {"w": jax.random.normal(one, (x.shape[1], 4)), "b": jnp.zeros(4)},
        "a": {"w": jax.random.normal(two, (4, 1)), "b": jnp.zeros(1)},
    }


def affine(layer, x):
    return x @ layer["w"] + layer["b"][None, :]


def forward(params, x):
    return 2 * affine(params["a"], jnp.tanh(affine(params["z"], x)))


def positive(params, x):
    return jax.nn.softplus(forward(params, x))


LAST = {
    "MLP": (NET, ("layers/1/bias", "layers/1/kernel")),
    "MLP, residual": (
        MLP(hidden=(2, 2), residual=True, layer_norm=True),
        ("layers/2/bias", "layers/2/kernel"),
    ),
    "Linear": (Linear(), ("coefficients",)),
    "functions": (Functions(drawn, forward), ("a/b", "a/w")),
    "linen": (FRAMEWORKS["linen"].network, ("last/bias", "last/kernel")),
    "nnx": (FRAMEWORKS["nnx"].network, ("last/bias", "last/kernel")),
    "equinox": (FRAMEWORKS["equinox"].network, ("last/bias", "last/weight")),
}


@pytest.mark.parametrize("name", LAST)
def test_the_last_layer_is_found_whatever_it_is_called(name):
    network, expected = LAST[name]
    x = np.ones((5, 3), np.float32)
    assert matching(network, network.init(KEY, x), x, "last_layer") == expected


def test_the_last_layer_of_a_network_of_ones_own_is_fitted_and_again_without_compiling():
    data, model = as_data(X, Y), Model(Functions(drawn, forward), Normal(), Gaussian(NOISE))
    method = Subset(Laplace(at=None), rest=SHORT)
    found = fit(KEY, model, data, method)
    assert list(found.posterior.mean.params) == ["a/b", "a/w"]
    before = len(COMPILED)
    other = Model(Functions(drawn, forward), Normal(2.0), Gaussian(0.3))
    fit(jax.random.key(1), other, as_data(X + 1, 2 * Y), method)
    assert len(COMPILED) == before


def test_a_network_that_bends_its_outputs_has_no_last_layer_and_is_refused_with_its_paths():
    model = Model(Functions(drawn, positive), Normal(), Gaussian(NOISE))
    with pytest.raises(ValueError, match=r"outputs are affine.* weights: a/b, a/w, z/b, z/w"):
        fit(KEY, model, DATA, Subset(Laplace(at=None), rest=SHORT))


def test_patterns_go_beside_the_last_layer():
    assert matching(NET, WEIGHTS, X, ("last_layer", "layers/0/bias")) == (
        "layers/0/bias",
        "layers/1/bias",
        "layers/1/kernel",
    )


def test_the_weights_of_largest_variance_get_the_full_covariance_of_their_own(tmp_path):
    whole = fit(KEY, MODEL, DATA, Laplace(at=None), start=WEIGHTS)
    with jax.enable_x64(True):
        precision = np.asarray(whole.posterior.curvature.precision(whole.model))
    places = np.sort(np.argsort(-1 / np.diag(precision))[:6])
    method = Subset(Laplace(at=None), LargestVariance(6), rest=None)
    found = fit(KEY, MODEL, DATA, method, start=WEIGHTS)
    np.testing.assert_array_equal(found.model.network.places, places)
    vector = np.asarray(trees.vector(WEIGHTS.params))
    np.testing.assert_allclose(found.posterior.mean.params["entries"], vector[places], rtol=1e-6)
    own = np.linalg.inv(precision[np.ix_(places, places)])
    np.testing.assert_allclose(found.posterior.covariance.dense(), own, rtol=1e-8)
    prior = 0.3 * np.repeat([1, 2, 1, 4], [4, 8, 1, 4])[places]
    log_prior = 0.5 * np.sum(np.log(prior / (2 * np.pi)) - prior * vector[places] ** 2)
    fitted = np.asarray(NET.apply(WEIGHTS, X)[0])
    log_likelihood = -0.5 * np.sum(((Y - fitted) / NOISE) ** 2 + np.log(2 * np.pi * NOISE**2))
    evidence = log_prior + log_likelihood + 0.5 * np.linalg.slogdet(2 * np.pi * own)[1]
    assert found.log_evidence == pytest.approx(evidence, abs=1e-4)
    assert "6 of its 17 weights" in str(found)
    save(found, tmp_path / "m.posterium")
    again = load(tmp_path / "m.posterium")
    np.testing.assert_array_equal(predict(KEY, again, X).sd, predict(KEY, found, X).sd)


def test_more_weights_than_there_are_is_all_of_them_and_other_priors_are_refused():
    method = Subset(Laplace(at=None), LargestVariance(99), rest=SHORT)
    found = fit(KEY, MODEL, DATA, method)
    assert found.posterior.mean.params["entries"].shape == (17,)
    with pytest.raises(ValueError, match="expects a Normal prior; got Flat"):
        fit(KEY, Model(NET, Flat(), Gaussian(NOISE)), DATA, method)
    with pytest.raises(ValueError, match="count must be at least 1; got 0"):
        LargestVariance(0)
