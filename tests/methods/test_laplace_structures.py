"""Laplace by structures and curvatures other than the full Gauss-Newton matrix."""

import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.methods.test_laplace import COUNTS, DATA, KEY, NET, PHI, X, Y, network_weights, passes

from posterium import (
    MAP,
    Categorical,
    Gaussian,
    HeteroscedasticGaussian,
    KroneckerCurvature,
    Laplace,
    Linear,
    LowRankCurvature,
    Model,
    Normal,
    Stream,
    as_data,
    fit,
    predict,
)
from posterium._struct import replace
from posterium.numerics import trees

NOISE = np.array([0.5, 0.8])


@pytest.mark.parametrize("structure", ["kronecker", LowRankCurvature(6)])
def test_on_a_linear_gaussian_model_it_is_the_full_one(structure):
    model = Model(Linear(outputs=2), Normal(0.6, scaling="none"), Gaussian(NOISE))
    full = fit(KEY, model, DATA, Laplace(at=MAP(steps=1, polish="newton")))
    mode = full.posterior.mode()
    found = fit(KEY, model, DATA, Laplace(structure=structure, at=None), start=mode)
    with jax.enable_x64(True):
        dense = np.asarray(full.posterior.covariance.dense())
        np.testing.assert_allclose(found.posterior.covariance.dense(), dense, atol=1e-8)
    assert found.log_evidence == pytest.approx(full.log_evidence, abs=1e-8)
    assert found.verdict.status == "ok"
    phi = np.repeat(PHI, COUNTS, 0)
    by_hand = [np.linalg.inv(0.6 * np.eye(3) + phi.T @ phi / s**2) for s in NOISE]
    np.testing.assert_allclose(dense[::2, ::2], by_hand[0], atol=1e-8)
    np.testing.assert_allclose(dense[1::2, 1::2], by_hand[1], atol=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("structure", ["kronecker", "low_rank"])
def test_batches_and_streams_add_up_to_all_rows(structure):
    model, weights = Model(NET, Normal(), Gaussian(NOISE)), network_weights()
    stream = Stream(passes, len(X), 5, size=float(COUNTS.sum()))
    whole, batches, streamed = (
        fit(KEY, model, data, Laplace(structure, at=None, batch_size=size), start=weights)
        for data, size in ((DATA, None), (DATA, 5), (stream, None))
    )
    for other in (batches, streamed):
        assert other.log_evidence == pytest.approx(whole.log_evidence, abs=1e-9)
        with jax.enable_x64(True):
            variances = [fit.posterior.covariance.variance() for fit in (whole, other)]
        np.testing.assert_allclose(*variances, rtol=1e-9)


@pytest.mark.parametrize(
    ("likelihood", "y"),
    [
        (Gaussian(0.7), Y),
        pytest.param(HeteroscedasticGaussian(), Y[:, :1], marks=pytest.mark.slow),
        (Categorical(), (Y[:, 0] > 0).astype(int)),
    ],
)
def test_the_empirical_curvature_sums_products_of_gradients(likelihood, y):
    model, weights = Model(NET, Normal(2.0), likelihood), network_weights()
    data = as_data(X, y, weight=COUNTS)
    found = fit(KEY, model, data, Laplace(curvature="empirical", at=None), start=weights)
    with jax.enable_x64(True):
        center, unravel = trees.ravel(trees.cast(weights.params, np.float64))

        def log_prob(vector):
            f = NET.apply(replace(weights, params=unravel(vector)), jnp.asarray(X))[0]
            return likelihood.log_prob(f, jnp.asarray(y))

        slopes = np.asarray(jax.jacrev(log_prob)(center))
        prior = np.asarray(trees.vector(model.prior.precision_of(unravel(center))))
    expected = np.einsum("n,np,nq->pq", COUNTS, slopes, slopes) + np.diag(prior)
    inverse = np.asarray(found.posterior.covariance.dense())
    np.testing.assert_allclose(inverse @ expected, np.eye(len(prior)), atol=1e-8)


@pytest.mark.parametrize("structure", ["kronecker", "low_rank"])
def test_predictions_are_those_of_the_dense_covariance(structure):
    model, weights = Model(NET, Normal(), Gaussian(NOISE)), network_weights()
    found = fit(KEY, model, DATA, Laplace(structure, at=None), start=weights)
    with jax.enable_x64(True):
        center, unravel = trees.ravel(trees.cast(weights.params, np.float64))
        mean = found.posterior.mean

        def outputs(vector):
            return NET.apply(replace(mean, params=unravel(vector)), jnp.asarray(X))[0]

        jacobian = np.asarray(jax.jacrev(outputs)(center))
        dense = np.asarray(found.posterior.covariance.dense())
    variance = np.einsum("nkp,pq,nkq->nk", jacobian, dense, jacobian)
    predicted = predict(KEY, found, X)
    np.testing.assert_allclose(predicted.epistemic_var, variance, rtol=1e-8)
    drawn = predict(KEY, replace(found, posterior=replace(found.posterior, how="draws")), X)
    assert np.isfinite(drawn.sd).all()


def test_what_does_not_go_together_is_refused_with_the_way_out():
    weights = network_weights()

    def fitted(method, prior=None, likelihood=None):
        model = Model(NET, prior or Normal(), likelihood or Gaussian(0.5))
        return fit(KEY, model, DATA, method, start=weights)

    with pytest.raises(ValueError, match="'full' or 'diagonal'; got 'kronecker'"):
        Laplace("kronecker", curvature="hessian")
    uneven = Normal(jax.tree.map(lambda a: 1 + np.arange(a.size).reshape(a.shape), weights.params))
    with pytest.raises(ValueError, match=r"one prior precision.*layers/0/bias has several"):
        fitted(Laplace("kronecker", at=None), uneven)
    with pytest.raises(ValueError, match=r"precisions above 0; layers/0/bias has 0"):
        fitted(Laplace(LowRankCurvature(3), at=None), Normal(0.0))
    with pytest.raises(ValueError, match="one noise sd for all targets"):
        fitted(Laplace(curvature="empirical", at=None), likelihood=Gaussian(NOISE))
    with pytest.raises(ValueError, match="rank must be at least 1; got 0"):
        LowRankCurvature(0)


LARGE = """
import json
import jax, numpy as np
from posterium import MLP, Categorical, Laplace, Model, Normal, as_data, fit, predict

rng = np.random.default_rng(0)
x, y = rng.normal(size=(1797, 64)).astype(np.float32), rng.integers(0, 10, 1797)
network = MLP(10, (512, 512))
model, method = Model(network, Normal(), Categorical()), Laplace("kronecker", at=None)
weights = jax.tree.map(np.asarray, network.init(jax.random.key(0), x))
found = fit(jax.random.key(1), model, as_data(x, y), method, start=weights, precision="float32")
jax.clear_caches()


def used(field):
    lines = open("/proc/self/status").read().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(field))


open("/proc/self/clear_refs", "w").write("5")
before = used("VmRSS")
probs = predict(jax.random.key(2), found, x, draws=16).probs
print(json.dumps([before, used("VmHWM"), bool(np.isfinite(probs).all())]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_three_hundred_thousand_weights_are_predicted_with_below_a_gigabyte():
    run = subprocess.run([sys.executable, "-c", LARGE], capture_output=True, text=True, timeout=900)
    assert run.returncode == 0, run.stderr
    before, peak, finite = json.loads(run.stdout)
    assert finite
    assert peak - before < 2**30


def test_a_record_stands_for_its_name_with_other_settings():
    assert Laplace(KroneckerCurvature()) != Laplace(KroneckerCurvature("reduce"))
    assert "reduce" in repr(Laplace(KroneckerCurvature("reduce")))
