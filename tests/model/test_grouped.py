"""Networks of groups: rows see their own, and the prior ties them."""

import jax
import numpy as np
import pytest

import posterium as ps
from posterium._struct import replace
from posterium.datasets.grouped import grouped_moons
from posterium.model.grouped import GROUPS, POPULATION

KEY = jax.random.key(3)
LINE = ps.MLP(1, (), bias=False)
RNG = np.random.default_rng(5)
X = np.column_stack([RNG.normal(size=12), np.repeat([0.0, 1.0, 2.0], 4)])
SLOPES, NOISE, BETWEEN = np.array([1.0, 1.5, 0.4]), 0.5, 0.7
Y = X[:, 0] * SLOPES[X[:, 1].astype(int)] + NOISE * RNG.normal(size=12)
DATA = ps.as_data(X, Y)
TIED = ps.Model(ps.Grouped(LINE, 4, BETWEEN), ps.Normal(), ps.Gaussian(NOISE))


def exact(between):
    """Return mean and covariance of the slopes of four groups, of which the last has no row."""
    prior = np.ones((4, 4)) + between**2 * np.eye(4)
    design = X[:, :1] * np.eye(4)[X[:, 1].astype(int)]
    covariance = np.linalg.inv(np.linalg.inv(prior) + design.T @ design / NOISE**2)
    return covariance @ design.T @ Y / NOISE**2, covariance


def log_evidence(between):
    """Return the log evidence of a sd between groups, in nats."""
    design = X[:, :1] * np.eye(4)[X[:, 1].astype(int)]
    prior = np.ones((4, 4)) + between**2 * np.eye(4)
    covariance = design @ prior @ design.T + NOISE**2 * np.eye(12)
    log_det = np.linalg.slogdet(covariance)[1]
    return -0.5 * (Y @ np.linalg.solve(covariance, Y) + log_det + 12 * np.log(2 * np.pi))


UNITS = np.column_stack([np.ones(4), np.arange(4.0)])


def test_a_row_sees_the_network_of_its_group():
    network = ps.Grouped(ps.MLP(2, (3,)), 3, 0.5)
    weights = network.init(KEY, X)
    params = dict(weights.params)
    params[GROUPS] = jax.tree.map(lambda z: jax.random.normal(KEY, z.shape), params[GROUPS])
    f, _ = network.apply(replace(weights, params=params), X)
    for row, group in enumerate(X[:, 1].astype(int)):
        own = jax.tree.map(lambda w, z, g=group: w + 0.5 * z[g], params[POPULATION], params[GROUPS])
        alone, _ = ps.MLP(2, (3,)).apply(ps.Weights(own), X[row : row + 1, :1])
        assert np.allclose(f[row], alone[0], atol=1e-6)


@pytest.mark.parametrize("number", [-1.0, 4.0, 0.5])
def test_a_number_that_is_no_group_gives_no_answer(number):
    weights = TIED.network.init(KEY, X)
    assert np.isnan(TIED.network.apply(weights, np.array([[1.0, number]]))[0]).all()


def test_groups_and_population_are_scaled_by_their_own_inputs():
    made = ps.Model(ps.Grouped(ps.MLP(1, (6,)), 5), ps.Normal(2.0), ps.Gaussian(1.0))
    weights = made.network.init(KEY, X)
    precision = made.prior.precision_of(weights.params)
    for part in (precision[POPULATION], precision[GROUPS]):
        assert (part["layers"][0]["kernel"] == 2).all()
        assert (part["layers"][1]["kernel"] == 12).all()
        assert (part["layers"][1]["bias"] == 2).all()


@pytest.mark.slow
def test_a_fixed_sd_between_groups_gives_the_exact_posterior_and_a_new_group_the_population():
    found = ps.fit(KEY, TIED, DATA, ps.Laplace(at=ps.MAP(steps=1, polish="newton")))
    said = ps.predict(KEY, found, UNITS)
    mean, covariance = exact(BETWEEN)
    assert np.allclose(said.mean[:, 0], mean, atol=1e-7)
    assert np.allclose(said.epistemic_var[:, 0], np.diag(covariance), rtol=1e-6)
    assert said.epistemic_var[3, 0] > BETWEEN**2


@pytest.mark.slow
def test_a_learned_sd_between_groups_has_its_posterior_under_nuts():
    free = ps.learn(0.5, prior=ps.HalfNormal(1.0))
    model = ps.Model(ps.Grouped(LINE, 4, free), ps.Normal(), ps.Gaussian(NOISE))
    careful = ps.NUTS(warmup=500, draws=2000, target_accept=0.99)
    found = ps.fit(KEY, model, DATA, careful)
    assert found.verdict.status == "ok"
    grid = np.linspace(1e-3, 5, 2000)
    log_density = np.array([log_evidence(s) - 0.5 * s**2 for s in grid])
    mass = np.exp(log_density - log_density.max())
    mass /= mass.sum()
    mean = mass @ grid
    sd = np.sqrt(mass @ (grid - mean) ** 2)
    drawn = np.exp(np.asarray(found.posterior.draws.raws[0])).ravel()
    assert abs(drawn.mean() - mean) / sd < 5 / np.sqrt(400)


@pytest.mark.slow
def test_modes_and_bounds_find_how_far_apart_groups_are():
    (x, y), (x_test, y_test) = grouped_moons(4, 20, turn=1.2)
    model = ps.Model(ps.Grouped(ps.MLP(1, (6,), "tanh"), 4), ps.Normal(0.25), ps.Bernoulli())
    for method in (ps.MAP(steps=2000), ps.VI(steps=3000)):
        found = ps.fit(KEY, model, ps.as_data(x, y), method)
        assert 0.1 < float(found.model.network.scale.value) < 5
        assert ps.predict(KEY, found, x_test).log_prob(y_test).mean() > -0.45


def test_a_network_needs_a_group():
    with pytest.raises(ValueError, match="groups must be at least 1"):
        ps.Grouped(LINE, 0)


def test_moons_of_groups_are_turned_and_numbered():
    (x, y), (held, labels) = grouped_moons(3, 10, held_out=4000, turn=0.8, seed=2)
    assert x.shape == (30, 3)
    assert set(x[:, 2]) == {0.0, 1.0, 2.0}
    assert y.sum() == 15
    angles = 0.8 * np.random.default_rng(2).standard_normal(3)
    for group, angle in enumerate(angles):
        rows = (held[:, 2] == group) & (labels == 0)
        centre = held[rows, :2].mean(axis=0)
        straight = 1.5 * np.array([-0.5, 2 / np.pi - 0.25])
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        assert np.allclose(centre, straight @ turn, atol=5 * 1.2 / np.sqrt(rows.sum()))
