"""Several targets with a noise each, weights of rows, and covariances over rows."""

import numpy as np
import pytest

from posterium import MAP, BayesianRegressor, Ensemble, Exact, Laplace, Normal
from posterium.tables.scaling import noise_floor

RNG = np.random.default_rng(12)
X = RNG.normal(size=(40, 2))
NOISE = np.array([0.1, 2.0])
BOTH = np.column_stack([X @ [1.0, -2.0], X @ [3.0, 0.5]]) + NOISE * RNG.normal(size=(40, 2))
BOTH = BOTH @ np.diag([1.0, 100.0]) + [5.0, -70.0]
PROBE = X[:9] + 0.1
FULL = MAP(steps=60, learning_rate=0.05)
GAUSSIAN = {"method": FULL, "likelihood": "gaussian", "precision": "float64"}


doubtful = pytest.mark.filterwarnings("ignore::posterium.estimators.ConvergenceWarning")


def exact():
    return BayesianRegressor(method="exact")


def test_each_target_has_a_noise_of_its_own():
    model = exact().fit(X, BOTH)
    found = model.predict_dist(PROBE).aleatoric_sd
    assert found.shape == (9, 2)
    assert np.ptp(found, axis=0).max() < 1e-12 * found.max()
    se = 1 / np.sqrt(2 * 37)
    assert (np.abs(np.log(found[0] / (NOISE * [1, 100]))) < 4 * se).all()


def test_two_targets_are_two_fits_where_the_prior_is_fixed():
    settings = {"method": Exact(), "prior": Normal(1.0, "none"), "likelihood": "gaussian"}
    both = BayesianRegressor(**settings).fit(X, BOTH)
    for k in range(2):
        one = BayesianRegressor(**settings).fit(X, BOTH[:, k])
        for ours, theirs in zip(both.predict(PROBE, return_std=True),
                                one.predict(PROBE, return_std=True), strict=True):  # fmt: skip
            assert np.allclose(ours[:, k], theirs, rtol=1e-10)
        covariance = both.predict(PROBE, return_cov=True)[1]
        assert np.allclose(covariance[:, :, k], one.predict(PROBE, return_cov=True)[1], rtol=1e-8)


@pytest.mark.parametrize("likelihood", ["gaussian", "heteroscedastic"])
def test_networks_take_several_targets(likelihood):
    model = BayesianRegressor(method=MAP(steps=300, learning_rate=0.02), likelihood=likelihood)
    sd = model.fit(X, BOTH).predict(PROBE, return_std=True)[1]
    assert sd.shape == (9, 2)
    ratio = np.exp(np.log(sd).mean(axis=0) - np.log(NOISE * [1, 100]))
    assert ((ratio > 0.3) & (ratio < 3)).all()


def test_each_target_has_a_floor_of_its_own():
    rounded = np.column_stack([np.round(BOTH[:, 0]), BOTH[:, 1]])
    floors = noise_floor(rounded, np.ones(40))
    alone = [noise_floor(rounded[:, k], np.ones(40)) for k in range(2)]
    assert np.array_equal(floors, alone)
    assert floors[0] > 10 * floors[1]
    own = noise_floor(rounded, np.ones(40), standardise=False)
    assert np.allclose(own, floors * rounded.std(axis=0), rtol=1e-12)


REPEATED = np.concatenate([np.arange(40), np.arange(7)])
WEIGHT = np.bincount(REPEATED).astype(float)


@pytest.mark.parametrize("settings", [{"method": "exact"}, GAUSSIAN], ids=["exact", "map"])
def test_a_weight_of_two_is_the_row_twice_and_of_zero_none(settings):
    y = np.round(BOTH[:, 0], 1)
    weight = WEIGHT.copy()
    weight[-5:] = 0
    kept = REPEATED[REPEATED < 35]
    one = BayesianRegressor(**settings).fit(X, y, sample_weight=weight)
    other = BayesianRegressor(**settings).fit(X[kept], y[kept])
    assert np.allclose(one.fitted_.inputs.scale, other.fitted_.inputs.scale, rtol=1e-12)
    floors = (m.fit_.model.likelihood.scale.floor for m in (one, other))
    assert np.allclose(*floors, rtol=1e-12)
    for ours, theirs in zip(one.predict(PROBE, return_std=True),
                            other.predict(PROBE, return_std=True), strict=True):  # fmt: skip
        assert np.allclose(ours, theirs, rtol=1e-7)


def test_the_covariance_of_a_linear_model_is_exact():
    model = exact().fit(X, BOTH[:, 0])
    mean, covariance = model.predict(PROBE, return_cov=True)
    fitted = model.fitted_
    design, rows = (np.column_stack([np.ones(len(x)), fitted.inputs.apply(x)]) for x in (PROBE, X))
    noise = float(fitted.fit.model.likelihood.scale.value)
    prior = float(fitted.fit.model.prior.precision.value)
    precision = prior * np.eye(3) + rows.T @ rows / noise**2
    expected = design @ np.linalg.solve(precision, design.T) + noise**2 * np.eye(9)
    assert np.allclose(covariance, expected * fitted.target.scale**2, rtol=1e-9)
    assert np.allclose(np.sqrt(np.diag(covariance)), model.predict(PROBE, return_std=True)[1])
    assert np.array_equal(mean, model.predict(PROBE))


def test_samples_are_functions_with_the_covariance_of_the_predictive():
    model = exact().fit(X[:8], BOTH[:8])
    mean, covariance = model.predict(PROBE, return_cov=True)
    draws = 4000
    found = model.sample_y(PROBE, draws, random_state=1)
    assert found.shape == (9, 2, draws)
    assert np.array_equal(found, model.sample_y(PROBE, draws, random_state=1))
    for k in range(2):
        inside = covariance[:, :, k]
        sds = np.sqrt(np.diag(inside))
        off = (found[:, k].mean(axis=1) - mean[:, k]) / sds
        assert (np.abs(off) < 4.5 / np.sqrt(draws)).all()
        error = (np.cov(found[:, k]) - inside) / np.outer(sds, sds)
        assert (np.abs(error) < 5 * np.sqrt(2 / draws)).all()


def quick(method, **settings):
    model = BayesianRegressor(method=method, network="linear", prior=Normal(), **settings)
    return model.fit(X, BOTH[:, 0])


def test_a_covariance_by_drawn_functions_is_theirs():
    model = quick(Ensemble(FULL, 3), likelihood="heteroscedastic")
    covariance = model.predict(PROBE, return_cov=True)[1]
    (block,) = model.predict_dist(PROBE).components()
    each = block.mean[:, :, 0]
    expected = np.cov(each.T, bias=True) + np.diag(block.variance[:, :, 0].mean(axis=0))
    assert np.allclose(covariance, expected, rtol=1e-6)  # noise is averaged in float32
    assert np.allclose(np.diag(covariance), model.predict(PROBE, return_std=True)[1] ** 2)
    drawn = model.sample_y(PROBE, 6)
    assert drawn.shape == (9, 6)


@doubtful
def test_a_mixture_of_gaussians_has_the_spread_of_its_members_too():
    model = quick(Ensemble(Laplace(at=MAP(steps=20)), 2), likelihood="gaussian")
    covariance = model.predict(PROBE, return_cov=True)[1]
    assert np.allclose(np.diag(covariance), model.predict(PROBE, return_std=True)[1] ** 2)
    exactly = covariance / np.sqrt(np.outer(*[np.diag(covariance)] * 2))
    assert np.linalg.eigvalsh(exactly).min() > 0


@doubtful
def test_a_linearised_network_with_predicted_noise_is_drawn_as_whole_functions():
    model = quick(Laplace(at=FULL), likelihood="heteroscedastic", draws=2000)
    covariance = model.predict(PROBE, return_cov=True)[1]
    sd = model.predict(PROBE, return_std=True)[1]
    assert np.allclose(np.sqrt(np.diag(covariance)), sd, rtol=1e-10)
    smooth = covariance - np.diag(np.diag(covariance))
    assert np.abs(smooth).max() > 1e-6


def test_one_kind_of_spread_at_a_time_and_none_too_large():
    model = exact().fit(X, BOTH)
    with pytest.raises(RuntimeError, match="At most one of return_std or return_cov"):
        model.predict(PROBE, return_std=True, return_cov=True)
    with pytest.raises(ValueError, match=r"100000 rows of 2 output\(s\) need about 48"):
        model.predict(np.zeros((10**5, 2)), return_cov=True)
    with pytest.raises(ValueError, match="raise the limit: max_bytes="):
        model.predict(PROBE, return_cov=True, max_bytes=1000)


def test_the_attributes_of_a_fit_are_there():
    model = exact().fit(X, BOTH)
    assert model.verdict_.status == "ok"
    assert np.isfinite(model.log_evidence_)
    assert "solve" in model.history_
    assert np.isnan(BayesianRegressor(**GAUSSIAN).fit(X, BOTH[:, 0]).log_evidence_)
    weight = np.arange(40.0)
    each = model.predict_dist(X).log_prob(BOTH)
    assert model.log_score(X, BOTH, weight) == pytest.approx(np.average(each, weights=weight))
