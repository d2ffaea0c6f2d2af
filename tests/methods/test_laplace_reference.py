"""Laplace against laplace-torch, by stored numbers, and against stored reference posteriors."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from posterium import (
    MAP,
    MLP,
    Bernoulli,
    Categorical,
    Flat,
    Gaussian,
    HalfCauchy,
    Laplace,
    Model,
    Normal,
    Subset,
    Weights,
    as_data,
    fit,
    learn,
    predict,
)
from posterium._struct import replace

KEY = jax.random.key(0)
FILE = Path(__file__).parents[1] / "golden" / "laplace_torch.json"
STORED = json.loads(FILE.read_text())
X, PROBE = np.array(STORED["x"]), np.array(STORED["probe"])
PRECISION, NOISE = (STORED["settings"][name] for name in ("prior_precision", "sigma_noise"))
LIKELIHOODS = {"regression": Gaussian(NOISE), "classification": Categorical()}
CASES = [
    (task, net, structure)
    for task, stored in STORED["tasks"].items()
    for net, one in enumerate(stored["nets"])
    for structure in one["found"]
]
QUICK = (("regression", "full"), ("classification", "kronecker"))


def marked(cases):
    return [
        pytest.param(case, marks=[] if (case[0], case[2]) in QUICK else [pytest.mark.slow])
        for case in cases
    ]


REGRESSIONS = marked(case for case in CASES if case[0] == "regression")
CLASSIFICATIONS = marked(case for case in CASES if case[0] == "classification")
REFERENCES = Path(__file__).parents[3] / "shared" / "data" / "posteriordb"


def method(structure):
    """Return our name for one of the stored structures."""
    subset, _, kind = structure.rpartition(", ")
    kind = "full" if kind == "last layer" else kind
    laplace = Laplace(structure=kind, at=None)
    return Subset(laplace, rest=None) if subset or structure == "last layer" else laplace


def layers(stored):
    """Return stored weights as ours: kernels are (inputs, outputs)."""
    names = {"kernel": "weight", "bias": "bias"}

    def layer(number):
        kept = {ours: f"{number}.{theirs}" for ours, theirs in names.items()}
        return {ours: np.array(stored[name]).T for ours, name in kept.items() if name in stored}

    return Weights({"layers": [layer(0), layer(2)]})


def case_id(case):
    return " ".join(map(str, case))


@pytest.fixture(scope="module", params=marked(CASES), ids=case_id)
def pair(request):
    """Fit one stored case; return the fit and what laplace-torch found."""
    task, number, structure = request.param
    stored = STORED["tasks"][task]
    net, y = stored["nets"][number], np.array(stored["y"])
    outputs = 2 if task == "regression" else 3
    network = MLP(outputs=outputs, hidden=(4,), activation="tanh", bias=net["bias"])
    model = Model(network, Normal(PRECISION, scaling="none"), LIKELIHOODS[task])
    found = fit(KEY, model, as_data(X, y), method(structure), start=layers(net["weights"]))
    return found, net["found"][structure]


def law(found, x):
    """Return mean (n, k) and covariance (n, k, k) of the outputs, the network linearised."""
    mean = found.posterior.mean
    with jax.enable_x64(True):
        center, unravel = jax.flatten_util.ravel_pytree(mean.params)

        def outputs(vector):
            return found.model.network.apply(replace(mean, params=unravel(vector)), x)[0]

        slopes = jax.jit(jax.jacrev(outputs))(center)
        return outputs(center), jax.vmap(found.posterior.covariance.quadratic)(slopes)


def test_the_law_of_the_outputs_is_that_of_laplace_torch(pair):
    found, stored = pair
    mean, covariance = law(found, jnp.asarray(PROBE))
    np.testing.assert_allclose(mean, stored["mean"], rtol=1e-6)
    size = np.abs(stored["covariance"]).max()
    np.testing.assert_allclose(covariance, stored["covariance"], rtol=0, atol=1e-6 * size)


def test_the_log_evidence_is_its_log_marginal_likelihood(pair):
    found, stored = pair
    assert found.log_evidence == pytest.approx(stored["log_marginal_likelihood"], abs=1e-6)


def test_the_evidence_peaks_at_the_precision_that_it_tunes(pair):
    found, stored = pair

    @jax.jit
    def loss(log_precision):
        prior = Normal(jnp.exp(log_precision), scaling="none")
        return -found.posterior.log_evidence(replace(found.model, prior=prior))

    with jax.enable_x64(True):
        best = minimize_scalar(loss, bounds=(-5, 5), method="bounded", options={"xatol": 1e-7})
    assert np.exp(best.x) == pytest.approx(stored["tuned_precision"], rel=1e-4)
    assert -best.fun == pytest.approx(stored["tuned_log_marginal_likelihood"], abs=1e-6)


@pytest.mark.parametrize("pair", REGRESSIONS, indirect=True, ids=case_id)
def test_predictions_of_a_target_have_the_moments_of_that_law(pair):
    found, stored = pair
    told = predict(KEY, found, PROBE)
    variance = np.diagonal(np.array(stored["covariance"]), axis1=1, axis2=2)
    np.testing.assert_allclose(told.mean, stored["mean"], rtol=1e-6)
    np.testing.assert_allclose(told.epistemic_var, variance, rtol=1e-6)
    np.testing.assert_allclose(told.aleatoric_var, NOISE**2, rtol=1e-6)


@pytest.mark.parametrize("pair", CLASSIFICATIONS, indirect=True, ids=case_id)
def test_the_probit_predictive_of_classes_is_its_own(pair):
    found, stored = pair
    np.testing.assert_allclose(
        predict(KEY, found, PROBE, how="probit").probs, stored["probit"], rtol=1e-6
    )


@pytest.mark.parametrize(
    ("name", "likelihood"),
    [
        ("wells_data-wells_dist", Bernoulli()),
        ("kidiq-kidscore_interaction", Gaussian(learn(20.0, prior=HalfCauchy(2.5)))),
    ],
)
def test_moments_are_those_of_reference_posteriors(name, likelihood):
    file = REFERENCES / f"{name}.json"
    if not file.is_file():
        pytest.skip("needs the reference posteriors in ../shared/data/posteriordb")
    reference = json.loads(file.read_text())
    *columns, y = [np.array(column, float) for column in reference["data"].values()]
    if likelihood.task == "classification":
        columns, y = [np.ones(len(y)), *columns], y.astype(int)
    x = np.column_stack(columns)
    back = np.linalg.inv(np.linalg.qr(x)[1]) * np.sqrt(len(x))
    model = Model(MLP(hidden=(), bias=False), Flat(), likelihood)
    found = fit(KEY, model, as_data(x @ back, y), Laplace(at=MAP(steps=200, polish="newton")))
    assert found.verdict.status == "ok", str(found.verdict)
    mean = back @ found.posterior.mean.params["layers"][0]["kernel"][:, 0]
    sd = np.sqrt(np.diag(back @ np.asarray(found.posterior.covariance.dense()) @ back.T))
    told = reference["parameters"][: len(mean)]
    truth, spread = (np.array([p[f"quadrature_{n}"] for p in told]) for n in ("mean", "sd"))
    assert (np.abs(mean - truth) < 0.05 * spread).all()
    np.testing.assert_allclose(sd / spread, 1, atol=0.03)
