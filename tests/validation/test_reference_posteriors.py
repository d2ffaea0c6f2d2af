"""NUTS and HMC on stored posteriors, against moments by quadrature."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.validation.record import ROOT, recorded

from posterium import (
    HMC,
    NUTS,
    Bernoulli,
    Flat,
    Functions,
    Gaussian,
    HalfCauchy,
    HalfNormal,
    Model,
    Normal,
    as_data,
    fit,
    learn,
)
from posterium._struct import struct
from posterium.evaluate import mixing

REFERENCES = ROOT.parent / "shared" / "data" / "posteriordb"


@struct
class FlatScale:
    """An improper prior of a scale: density 1."""

    def log_prob(self, value):
        return jnp.zeros_like(value)


CASES = {
    "sblrc-blr": (Normal(0.01, scaling="none"), HalfNormal(10.0)),
    "kidiq-kidscore_interaction": (Flat(), HalfCauchy(2.5)),
    "mesquite-logmesquite_logvas": (Flat(), FlatScale()),
    "wells_data-wells_dist": (Flat(), None),
}
"""Priors of the weights, and of the noise sd; none where the targets are classes."""


def reference(name: str):
    """Return inputs, targets, means and covariance of a stored posterior."""
    path = REFERENCES / f"{name}.json"
    if not path.exists():
        pytest.skip("the reference posteriors are not here (../shared/data/posteriordb)")
    stored = json.loads(path.read_text())
    names = [c for c in stored["columns"] if c != stored["target"]]
    x = np.column_stack([stored["data"][c] for c in names])
    y = np.array(stored["data"][stored["target"]])
    if name.startswith("wells"):
        x = np.column_stack([np.ones(len(x)), x])
    mean = np.array([p["quadrature_mean"] for p in stored["parameters"]])
    return x, y, mean, np.array(stored["quadrature_covariance"])


def coefficients(key, x):
    return {"w": jnp.zeros((x.shape[1], 1), x.dtype)}


def product(params, x):
    return x @ params["w"]


def draws_of(name: str, method):
    """Return a fit, draws (c, s, p) in the units of the stored posterior, and its moments.

    Columns are brought to one scale first, and those of flat priors made orthonormal, which changes
    no posterior.
    """
    x, y, mean, covariance = reference(name)
    prior, scale = CASES[name]
    if isinstance(prior, Flat):
        back = np.linalg.inv(np.linalg.qr(x)[1]) * np.sqrt(len(x))
    else:
        back = np.diag(np.mean(x**2, axis=0) ** -0.5)
        prior = Normal({"w": prior.precision * np.diagonal(back)[:, None] ** 2}, scaling="none")
    start = 1.0 if name == "sblrc-blr" else float(np.std(y))
    likelihood = Bernoulli() if scale is None else Gaussian(learn(start, prior=scale))
    data = as_data(x @ back, y.astype(int) if scale is None else y)
    model = Model(Functions(coefficients, product), prior, likelihood)
    found = fit(jax.random.key(3), model, data, method)
    draws = found.posterior.draws.weights.params["w"][..., 0] @ back.T
    if scale is not None:
        draws = np.concatenate([draws, np.exp(found.posterior.draws.raws[0])[..., None]], axis=2)
    return found, draws, mean, covariance


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("sampler", [NUTS, HMC])
def test_the_moments_of_draws_are_those_by_quadrature(name, sampler):
    reference(name)
    with recorded("S5", f"{sampler.__name__}, {name}") as figures:
        method = sampler(warmup=1000, draws=2500, mass="dense", start="network")
        found, draws, mean, covariance = draws_of(name, method)
        sd = np.sqrt(np.diagonal(covariance))
        error, ratio = draws.mean(axis=(0, 1)) - mean, draws.std(axis=(0, 1), ddof=1) / sd
        ess = np.minimum(mixing.ess_bulk(draws), mixing.ess_tail(draws))
        figures |= {
            "R-hat": float(mixing.rhat(draws).max()),
            "ESS": round(ess.min()),
            "largest z": float(np.abs(error / mixing.mcse(draws)).max()),
            "largest error in sds": float(np.abs(error / sd).max()),
            "sd ratios": [float(ratio.min()), float(ratio.max())],
            "divergences": int(found.info["sampling"]["diverging"].sum()),
        }
        assert figures["R-hat"] <= 1.01
        assert figures["ESS"] >= 2000
        assert figures["largest z"] < 4
        assert figures["largest error in sds"] < 0.1
        assert ratio.min() >= 0.95
        assert ratio.max() <= 1.05
        assert figures["divergences"] == 0
