"""Importance weights in the assessment: exact where the fit is, and a verdict where they differ."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from posterium.model.data import Batch, as_data
from posterium.model.features import Linear
from posterium.model.likelihoods.gaussian import Gaussian
from posterium.model.model import Model
from posterium.model.priors.normal import Normal
from posterium.numerics import trees
from posterium.numerics.families.gaussian import MeanField
from posterium.phases.assess import GAP_OK, Assess
from posterium.posterior.family import FamilyPosterior, random_shapes

X = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
Y = np.array([1.0, 0.5, -0.2, 0.3])
DESIGN = np.column_stack([np.ones(4), X])
"""Columns at right angles, so that weights are independent under the posterior."""


def assessed(shift):
    """The assessment of the exact posterior, moved by so many standard deviations."""
    model = Model(Linear(), Normal(1.0, "none"), Gaussian(1.0))
    with jax.enable_x64(True):
        weights = trees.cast(model.network.init(jax.random.key(0), X), np.dtype(float))
        _, unravel = trees.ravel(weights.params)
        order = np.asarray(trees.vector(unravel(jnp.arange(3.0)))).astype(int)
        mean = jnp.asarray((DESIGN.T @ Y / 5)[order] + shift / np.sqrt(5))
        raw = MeanField().start(mean, jnp.asarray(np.sqrt(0.2)), random_shapes(weights.params, ()))
        q = FamilyPosterior(weights, MeanField(), raw)
        data = trees.cast(as_data(X, Y), np.dtype(float))
        phase = Assess(1000)
        state = phase.init(jax.random.key(1), model, data, q)
        info = phase.step(jax.random.key(1), state, model, Batch(data, None, data, True))[1]
    return {name: np.asarray(value)[None] for name, value in info.items()}


def log_evidence():
    covariance = DESIGN @ DESIGN.T + np.eye(4)
    spread = np.linalg.slogdet(2 * np.pi * covariance)[1]
    return -0.5 * (Y @ np.linalg.solve(covariance, Y) + spread)


@pytest.mark.slow
def test_weights_of_the_exact_posterior_are_the_evidence_each():
    found = assessed(0.0)
    assert found["importance"][0] == pytest.approx(log_evidence(), abs=1e-10)
    assert found["elbo"][0] == pytest.approx(log_evidence(), abs=1e-10)


def test_weights_find_most_of_what_a_shifted_fit_lacks():
    found = assessed(0.5)
    assert found["elbo"][0] == pytest.approx(log_evidence() - 3 * 0.125, abs=0.1)
    assert found["importance"][0] == pytest.approx(log_evidence(), abs=0.1)


@pytest.mark.parametrize(
    ("gap", "k", "status"), [(5.6, 0.5, "warned"), (1.0, 0.5, "ok"), (1.0, 0.8, "warned")]
)
def test_a_wide_gap_is_warned_of_where_the_tail_shows_nothing(gap, k, status):
    record = {"elbo": [-13.8], "importance": [-13.8 + gap], "k_hat": [k]}
    verdict = Assess(1000).judge({n: np.array(v) for n, v in record.items()}, None)
    assert verdict.status == status
    if gap > GAP_OK:
        assert verdict.reasons[0].startswith("The bound is 5.6 nats below the log evidence")
