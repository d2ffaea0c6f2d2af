"""Laplace in its functional form against the full one, and where no full one would fit."""

import jax
import numpy as np
import pytest
from tests.methods.test_laplace import COUNTS, DATA, KEY, NET, X, Y, network_weights, passes

from posterium import (
    MAP,
    MLP,
    Categorical,
    Ensemble,
    Evidence,
    Functions,
    Gaussian,
    HeteroscedasticGaussian,
    Laplace,
    Model,
    Normal,
    Stream,
    Subset,
    Weights,
    as_data,
    fit,
    learn,
    load,
    predict,
    save,
)
from posterium._struct import bare
from posterium.model import hyper
from posterium.numerics import trees
from posterium.numerics.covariances.functional import FunctionalCovariance
from posterium.posterior.joint import covariance

PROBE = np.linspace(-1.5, 2, 10).reshape(5, 2)
MODE = MAP(steps=30)
PRIOR = Normal({"layers": [learn(1.5), learn(0.7)]})
LABELS = (Y[:, 0] > 0).astype(int)
CASES = {
    "one noise": (Gaussian(learn(0.6)), Y),
    "a noise an output": (Gaussian(learn(np.array([0.5, 0.8]))), Y),
    "heteroscedastic": (HeteroscedasticGaussian(), Y[:, :1]),
    "classes": (Categorical(), LABELS),
}


def fitted(structure, likelihood, y, **settings):
    data = as_data(X, y, weight=COUNTS)
    method = Laplace(structure, at=None, **settings)
    return fit(KEY, Model(NET, PRIOR, likelihood), data, method, start=network_weights())


def evidence(found):
    """Return the log evidence and its gradient in the free hyper-parameters."""

    def of(raws):
        return found.posterior.log_evidence(hyper.fill(found.model, raws))

    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, jax.value_and_grad(of)(hyper.free(found.model)))


@pytest.mark.parametrize(
    "name",
    ["classes"]
    + [
        pytest.param(name, marks=pytest.mark.slow)
        for name in ("one noise", "a noise an output", "heteroscedastic")
    ],
)
def test_it_is_the_full_one(name):
    full, found = (fitted(structure, *CASES[name]) for structure in ("full", "functional"))
    with jax.enable_x64(True):
        dense, ours = (np.asarray(f.posterior.covariance.dense()) for f in (full, found))
    np.testing.assert_allclose(ours, dense, atol=1e-8)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-8), evidence(found), evidence(full)
    )
    assert found.verdict.reasons == full.verdict.reasons
    if name == "classes":
        for how in ("probit", "bridge", "linear"):
            ours, theirs = (predict(KEY, f, PROBE, how=how).probs for f in (found, full))
            np.testing.assert_allclose(ours, theirs, atol=1e-8)
    if full.model.likelihood.linear_mean:
        ours, theirs = (predict(KEY, f, PROBE) for f in (found, full))
        np.testing.assert_allclose(ours.epistemic_var, theirs.epistemic_var, rtol=1e-8)
        np.testing.assert_allclose(
            covariance(KEY, found, PROBE), covariance(KEY, full, PROBE), atol=1e-8
        )


@pytest.mark.slow
def test_the_empirical_curvature_has_a_functional_form_too():
    likelihood, y = CASES["classes"]
    full, found = (
        fitted(structure, likelihood, y, curvature="empirical")
        for structure in ("full", "functional")
    )
    with jax.enable_x64(True):
        dense, ours = (np.asarray(f.posterior.covariance.dense()) for f in (full, found))
    np.testing.assert_allclose(ours, dense, atol=1e-8)
    assert len(found.posterior.covariance.lower) == len(X)


@pytest.mark.slow
def test_prior_and_noise_are_tuned_as_by_the_full_one():
    model = Model(NET, PRIOR, Gaussian(learn(0.6)))
    full, found = (
        fit(KEY, model, DATA, Evidence(Laplace(structure, at=MAP(steps=300)), rounds=2))
        for structure in ("full", "functional")
    )
    assert found.log_evidence == pytest.approx(full.log_evidence, abs=1e-6)
    pairs = zip(hyper.free(found.model), hyper.free(full.model), strict=True)
    for ours, theirs in pairs:
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def forward(params, x):
    return NET.apply(Weights(params), x)[0]


def test_a_saved_fit_predicts_and_draws_the_same(tmp_path):
    network = Functions(lambda key, x: NET.init(key, x).params, forward)
    model = Model(network, Normal(1.5, "none"), Categorical())
    found = fit(
        KEY, model, as_data(X, LABELS), Laplace("functional", at=None), start=network_weights()
    )
    save(found, tmp_path / "one.posterium")
    again = load(tmp_path / "one.posterium", network=network)
    assert isinstance(again.posterior.covariance, FunctionalCovariance)
    ours, theirs = (predict(KEY, f, PROBE).probs for f in (again, found))
    np.testing.assert_array_equal(ours, theirs)
    with jax.enable_x64(True):
        ours, theirs = (f.posterior.draw(KEY, 0, 1).weights.params for f in (again, found))
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


@pytest.mark.slow
@pytest.mark.parametrize("around", [lambda of: Ensemble(of, 2), lambda of: Subset(of, rest=MODE)])
def test_ensembles_and_last_layers_are_those_of_the_full_one(around):
    model = Model(NET, PRIOR, Gaussian(0.6))
    full, found = (
        predict(KEY, fit(KEY, model, DATA, around(Laplace(structure, at=MODE))), PROBE)
        for structure in ("full", "functional")
    )
    np.testing.assert_allclose(found.mean, full.mean, rtol=1e-8)
    np.testing.assert_allclose(found.sd, full.sd, rtol=1e-8)


def test_its_posterior_is_the_prior_of_the_next_fit():
    found = fitted("functional", *CASES["one noise"])
    full = fitted("full", *CASES["one noise"])
    with jax.enable_x64(True):
        ours, theirs = (f.posterior.as_prior() for f in (found, full))
        params = network_weights(3).params
        np.testing.assert_allclose(ours.log_prob(params), theirs.log_prob(params), rtol=1e-8)
        ours, theirs = (ours.precision_matrix(), theirs.precision_matrix())
    np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-8)


@pytest.mark.slow
def test_a_hundred_thousand_weights_cost_no_matrix_between_them(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 10))
    network = MLP(1, (300, 320), "tanh")
    model, data = Model(network, Normal(1.0), Gaussian(0.3)), as_data(x, np.sin(x[:, 0]))
    weights = jax.tree.map(np.asarray, network.init(KEY, x))
    found = fit(KEY, model, data, Laplace("functional", at=None), start=weights)
    predicted = predict(KEY, found, np.concatenate([x, x + 5]))
    count = trees.count(weights.params)
    kept = bare(found.posterior)
    assert count > 99_000
    assert trees.count(kept) < 3 * count + 60**2 + 60 * (10 + 1) + 100
    assert predicted.epistemic_sd[:60].mean() < 0.3 < predicted.epistemic_sd[60:].mean()
    save(found, tmp_path / "one.posterium")
    assert (tmp_path / "one.posterium").stat().st_size < 8 * 3.1 * count


def test_what_it_cannot_do_is_refused_with_the_way_out():
    likelihood = Gaussian(0.5)
    with pytest.raises(ValueError, match=r"all rows at once.*batch_size=5 of 12 rows"):
        fitted("functional", likelihood, Y, batch_size=5)
    model = Model(NET, Normal(), likelihood)
    stream = Stream(passes, len(X), 5, size=float(COUNTS.sum()))
    with pytest.raises(ValueError, match=r"all rows at once.*got a stream"):
        fit(KEY, model, stream, Laplace("functional", at=None), start=network_weights())
    many = as_data(np.zeros((10**5, 2)), np.zeros((10**5, 2)))
    with pytest.raises(ValueError, match="4 arrays of weights under 100000 rows of 2"):
        Laplace("functional", at=None).phases(model, many)
    with pytest.raises(ValueError, match="'full' or 'diagonal'; got 'functional'"):
        Laplace("functional", curvature="hessian")
    weights = network_weights()
    uneven = Normal(jax.tree.map(lambda a: 1 + np.arange(a.size).reshape(a.shape), weights.params))
    with pytest.raises(ValueError, match=r"one prior precision.*layers/0/bias has several"):
        fit(
            KEY, Model(NET, uneven, likelihood), DATA, Laplace("functional", at=None),
            start=weights,
        )  # fmt: skip
