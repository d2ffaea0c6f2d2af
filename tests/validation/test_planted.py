"""The checks can fail: eight defects, planted one at a time in the library, are all found."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.methods import test_vi
from tests.model import test_model
from tests.validation import calibration
from tests.validation.problems import DRAWS, KNOWN_NOISE, SIMULATIONS, compared
from tests.validation.record import recorded

from posterium import Exact, Normal
from posterium.methods.exact import LinearCurvature
from posterium.model import model
from posterium.numerics import regression
from posterium.phases import bound

MOMENTS = {
    "sd x 0.9": lambda mean, factor: (mean, 0.9 * factor),
    "sd x 0.8": lambda mean, factor: (mean, 0.8 * factor),
    "mean + 0.2 sd": lambda mean, factor: (mean + 0.2 * jnp.linalg.norm(factor, axis=1), factor),
    "Cholesky factor transposed": lambda mean, factor: (mean, factor.T),
}
"""What becomes of the mean and the factor of the covariance of linear regression."""


@pytest.fixture
def afresh():
    """Traced programs know nothing of what is planted, nor may they remember it."""
    jax.clear_caches()
    yield
    jax.clear_caches()


def found_by_simulation(defect):
    """Record how ranks under the exact method differ from uniform ones; they must."""
    with recorded("S4", defect) as figures:
        ranks = [compared(KNOWN_NOISE, Exact(), seed)[0] for seed in range(SIMULATIONS)]
        found = calibration.uniformity(np.array(ranks, int), DRAWS)
        figures |= {"found by": "S1", "N": SIMULATIONS} | calibration.worst(found)
        assert not calibration.is_uniform(found)


def found_by(defect, answer, check):
    """Record that an exact check of the suite fails."""
    with recorded("S4", defect) as figures:
        figures["found by"] = answer
        with pytest.raises(AssertionError):
            check()


@pytest.mark.slow
@pytest.mark.parametrize("defect", MOMENTS)
def test_other_moments_of_linear_regression(defect, afresh, monkeypatch):
    honest, change = regression.posterior, MOMENTS[defect]
    monkeypatch.setattr(regression, "posterior", lambda *problem: change(*honest(*problem)))
    found_by_simulation(defect)


@pytest.mark.slow
def test_twice_the_precision_of_the_prior(afresh, monkeypatch):
    honest = Normal.precision_of

    def planted(prior, params):
        return jax.tree.map(lambda precision: 2 * precision, honest(prior, params))

    monkeypatch.setattr(Normal, "precision_of", planted)
    found_by_simulation("prior precision x 2")


@pytest.mark.slow
def test_the_variance_of_the_noise_in_the_place_of_its_sd(afresh, monkeypatch):
    honest = LinearCurvature._noise
    monkeypatch.setattr(LinearCurvature, "_noise", lambda *given: honest(*given) ** 2)
    found_by_simulation("noise variance for sd")


@pytest.mark.slow
def test_twice_the_divergence_from_the_prior(afresh, monkeypatch):
    honest = bound.closed_kl
    monkeypatch.setattr(bound, "closed_kl", lambda q, model: 2 * honest(q, model))
    check = test_vi.test_the_bound_never_exceeds_the_log_evidence_and_a_full_covariance_reaches_it
    found_by("KL x 2", "evidence and covariance of full-rank VI", check)


@pytest.mark.slow
def test_a_likelihood_of_the_batch_alone(afresh, monkeypatch):
    honest = model.scaled_sum

    def planted(row, data):
        return len(row) / data.rows * honest(row, data)

    monkeypatch.setattr(model, "scaled_sum", planted)
    weights = test_model.MODEL.network.init(test_model.KEY, test_model.X)
    check = test_model.test_so_is_the_gradient_with_a_short_last_batch
    found_by("likelihood x batch/N", "gradients over a partition", lambda: check(weights))
