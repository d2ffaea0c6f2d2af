"""What a fit computes in: its own precision whatever JAX's is, and what float32 costs."""

import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.contracts.cases import DATA, KEY, LINEAR, METHODS
from tests.driver.job import ROOT, environment
from tests.methods.test_exact import problem, relative
from tests.validation.test_reference_posteriors import CASES, product, reference

from posterium import (
    Bernoulli,
    Exact,
    Functions,
    Gaussian,
    Linear,
    Model,
    Normal,
    Weights,
    as_data,
    fit,
    learn,
)
from posterium.model import hyper
from posterium.numerics import trees

pytestmark = [pytest.mark.slow, pytest.mark.goal("D2")]

NAMES = ("exact", "map", "laplace", "vi", "swag", "nuts", "mclmc")
JOB = f"""
import hashlib, json
import jax
from posterium import fit
from tests.bits import leaves
from tests.contracts.cases import DATA, KEY, METHODS
told = {{"x64": jax.config.jax_enable_x64}}
for name in {NAMES}:
    case = METHODS[name]
    found = fit(KEY, case.model, DATA, case.method)
    text = repr(leaves((found.posterior, found.model, found.info)))
    told[name] = [found.precision, hashlib.sha256(text.encode()).hexdigest()]
print(json.dumps(told))
"""


def test_whether_jax_has_float64_on_changes_no_bit_of_any_fit():
    told = []
    for switch in ("0", "1"):
        run = subprocess.run(
            [sys.executable, "-c", JOB], env=environment(JAX_ENABLE_X64=switch), cwd=ROOT,
            capture_output=True, text=True, timeout=1200,
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
        told.append(json.loads(run.stdout))
    off, on = told
    assert (off.pop("x64"), on.pop("x64")) == (False, True)
    assert off == on
    assert {name: said[0] for name, said in off.items()} == {
        name: METHODS[name].method.precision for name in NAMES
    }


def both(model, data, method):
    """Return mean, covariance and log evidence in float32 and in float64."""
    for precision in ("float32", "float64"):
        found = fit(KEY, model, data, method, precision=precision)
        mean = trees.vector(found.posterior.mean.params)
        yield np.asarray(mean), np.asarray(found.posterior.covariance.dense()), found.log_evidence


@pytest.mark.parametrize(("rows", "weights"), [(3, 8), (60, 4)])
def test_exact_regression_in_float32_is_that_in_float64_to_a_thousandth(rows, weights):
    for seed in range(5):
        x, y, precision, noise = problem(seed, rows, weights, 1e4)
        model = Model(Linear(), Normal(precision[0], "none"), Gaussian(noise))
        for half, full in zip(*both(model, as_data(x, y), Exact()), strict=True):
            assert relative(half, full) < 1e-3


def test_laplace_in_float32_is_that_in_float64_to_a_thousandth():
    for half, full in zip(*both(LINEAR, DATA, METHODS["laplace"].method), strict=True):
        assert relative(half, full) < 1e-3


@pytest.mark.parametrize("name", CASES)
def test_the_density_that_float32_samples_moves_no_mean_by_a_thousandth_of_its_sd(name):
    """By Cauchy and Schwarz: by at most the sd of the difference of log densities, in sds."""
    x, y, mean, covariance = reference(name)
    prior, scale = CASES[name]
    likelihood = Bernoulli() if scale is None else Gaussian(learn(1.0, prior=scale))
    model = Model(Functions(lambda key, x: {"w": jnp.zeros((x.shape[1], 1))}, product), prior,
                  likelihood)  # fmt: skip
    data = as_data(x, y.astype(int) if scale is None else y)
    draws = np.random.default_rng(0).multivariate_normal(mean, covariance, 2000)

    def log_joints(precision):
        with jax.enable_x64(precision == np.float64):
            here, rows, at = trees.cast((model, data, draws), precision)

            def one(z):
                count = x.shape[1]
                weights = Weights({"w": z[:count, None]})
                filled = hyper.fill(here, tuple(jnp.log(z[count:])))
                return sum(filled.log_joint(weights, rows)[:2])

            return np.asarray(jax.jit(lambda at: jax.lax.map(one, at))(at), float)

    assert np.std(log_joints(np.float32) - log_joints(np.float64)) < 1e-3
