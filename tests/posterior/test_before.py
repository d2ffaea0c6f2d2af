"""Before any data: predictions from the prior alone."""

import jax
import numpy as np
import pytest

import posterium as ps

KEY = jax.random.key(9)
X = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, -2.0]])
DRAWS = 4000


def test_a_linear_model_has_the_moments_of_its_prior():
    model = ps.Model(ps.Linear(), ps.Normal(2.0, "none"), ps.Gaussian(0.3))
    found = ps.prior_predictive(KEY, model, X, draws=DRAWS)
    variance = (1 + np.sum(X**2, axis=1)) / 2
    assert np.abs(found.mean[:, 0] / np.sqrt(variance)).max() < 5 / np.sqrt(DRAWS)
    assert np.abs(found.epistemic_var[:, 0] / variance - 1).max() < 5 * np.sqrt(2 / DRAWS)
    assert np.allclose(found.aleatoric_var, 0.09)


def test_free_hyper_parameters_are_drawn_from_their_priors_above_their_floors():
    noise = ps.learn(1.0, floor=0.5, prior=ps.HalfNormal(1.0))
    model = ps.Model(ps.Linear(), ps.Normal(ps.learn(2.0), "none"), ps.Gaussian(noise))
    found = ps.prior_predictive(KEY, model, X, draws=DRAWS, precision="float64")
    variances = np.concatenate([b.variance for b in found.components()], axis=1)[:, 0, 0]
    assert variances.min() >= 0.25
    from scipy import stats

    law = stats.truncnorm(0.5, np.inf)
    assert stats.kstest(np.sqrt(variances), law.cdf).pvalue > 1e-5
    assert np.abs(found.epistemic_var[0, 0] / 0.5 - 1) < 5 * np.sqrt(2 / DRAWS)


def test_classes_have_probabilities_before_any_label():
    model = ps.Model(ps.MLP(3, (4,)), ps.Normal(), ps.Categorical())
    found = ps.prior_predictive(KEY, model, X, draws=512)
    assert np.allclose(found.probs.sum(axis=1), 1)
    assert np.abs(found.probs - 1 / 3).max() < 5 * 0.35 / np.sqrt(512)


def test_it_is_the_same_for_the_same_key_and_a_row_does_not_depend_on_its_company():
    model = ps.Model(ps.MLP(1, (5,)), ps.Horseshoe(0.3), ps.Gaussian(0.3))
    whole = ps.prior_predictive(KEY, model, X, draws=32)
    part = ps.prior_predictive(KEY, model, X[1:], draws=32)
    assert np.array_equal(whole.mean[1:], part.mean)
    assert not np.array_equal(
        whole.mean, ps.prior_predictive(jax.random.key(1), model, X, draws=32).mean
    )


def test_a_prior_that_is_no_distribution_is_refused():
    model = ps.Model(ps.Linear(), ps.Flat(), ps.Gaussian(0.3))
    with pytest.raises(ValueError, match="not a distribution"):
        ps.prior_predictive(KEY, model, X)
