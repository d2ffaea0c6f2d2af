"""Priors in models: all of them at once through each kind of method; parts, centres, scaling."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, optimize, stats
from tests.contracts.prior_cases import HorseshoeLaw, MixtureLaw, OwnLogistic

import posterium as ps
from posterium.numerics import trees

KEY = jax.random.key(4)
NOISE = 0.5
SEEN = {"a": 0.8, "b": -0.6, "c": 1.2, "d": 0.4, "e": 0.9, "f": 1.1}
"""What is observed of each weight."""
EACH = {
    "a": (ps.Normal(2.0), stats.norm(scale=2**-0.5)),
    "b": (ps.LaplacePrior(0.5), stats.laplace(scale=0.5)),
    "c": (ps.StudentTPrior(3.0, 0.4), stats.t(3.0, scale=0.4)),
    "d": (ps.SpikeAndSlab(0.2, 1.5, 0.4), MixtureLaw(0.4, 1.5, 0.2)),
    "e": (ps.Centred(ps.StudentTPrior(3.0, 0.4), {"e": np.array([0.3])}),
          stats.t(3.0, 0.3, 0.4)),
    "f": (OwnLogistic(), stats.logistic()),
}  # fmt: skip
"""A prior of each weight, and its law."""


def start(key, x):
    return {name: jnp.zeros(1) for name in SEEN}


def forward(params, x):
    return x @ jnp.concatenate([params[name] for name in SEEN])[:, None]


NETWORK = ps.Functions(start, forward)
DATA = ps.as_data(np.eye(len(SEEN)), np.array([*SEEN.values()]))


def model(priors):
    return ps.Model(NETWORK, ps.ByPath(priors), ps.Gaussian(NOISE))


ALL = model({name: prior for name, (prior, _) in EACH.items()})
POLES = model({name: ps.Horseshoe(0.3) for name in SEEN})


class Kinked:
    """A density of which automatic differentiation does not see the kink."""

    def log_prob(self, w):
        return -jnp.abs(w)

    def sample(self, key, shape):
        return jax.random.laplace(key, shape)


def log_joint(name, law):
    return lambda w: law.logpdf(w) + stats.norm.logpdf(SEEN[name], w, NOISE)


def moments(name, law):
    """Return mean and sd of the posterior of one weight, by quadrature."""
    grid = np.linspace(-6, 6, 20_001)
    return moments_on(grid, log_joint(name, law)(grid))


def moments_on(grid, log_density):
    """Return mean and sd of a density on an even grid."""
    mass = np.exp(log_density - log_density.max())
    mass /= mass.sum()
    mean = mass @ grid
    return mean, np.sqrt(mass @ (grid - mean) ** 2)


@pytest.mark.slow
def test_the_mode_under_each_prior_is_that_of_its_density():
    found = ps.fit(KEY, ALL, DATA, ps.MAP(steps=2000, learning_rate=0.02), precision="float64")
    for name, (_, law) in EACH.items():
        right = optimize.minimize_scalar(
            lambda w, name=name, law=law: -log_joint(name, law)(w), bracket=(0, SEEN[name])
        ).x
        assert abs(float(found.posterior.mode().params[name][0]) - right) < 2e-3, name


@pytest.mark.slow
def test_draws_by_nuts_under_each_prior_have_the_moments_by_quadrature():
    found = ps.fit(KEY, ALL, DATA, ps.NUTS(warmup=300, draws=1000))
    assert found.verdict.status == "ok"
    for name, (_, law) in EACH.items():
        mean, sd = moments(name, law)
        drawn = np.asarray(found.posterior.draws.weights.params[name]).ravel()
        assert abs(drawn.mean() - mean) / sd < 5 / np.sqrt(400), name
        fourth = np.mean((drawn - drawn.mean()) ** 4) / sd**4
        assert abs(drawn.var() / sd**2 - 1) < 5 * np.sqrt((fourth - 1) / 400), name


@pytest.mark.slow
def test_the_bound_under_each_prior_is_taken_by_draws_and_lies_below_the_evidence():
    found = ps.fit(KEY, ALL, DATA, ps.VI(steps=2000, samples=8, learning_rate=0.02))
    bound = found.info["ascent"]["elbo"][-500:]
    grid = np.linspace(-8, 8, 20_001)
    densities = (np.exp(log_joint(name, law)(grid)) for name, (_, law) in EACH.items())
    evidence = sum(np.log(integrate.trapezoid(density, grid)) for density in densities)
    error = bound.std() / np.sqrt(len(bound) / 10)
    assert evidence - 0.5 < bound.mean() < evidence + 5 * error
    for name, (_, law) in EACH.items():
        mean, sd = moments(name, law)
        assert abs(float(found.posterior.mode().params[name][0]) - mean) < 0.4 * sd, name


@pytest.mark.slow
def test_the_bound_under_a_horseshoe_finds_the_means_by_quadrature():
    found = ps.fit(KEY, POLES, DATA, ps.VI(steps=4000, samples=8, learning_rate=0.02))
    grid = np.linspace(-6, 6, 1000)  # without 0
    evidence = 0.0
    for name in SEEN:
        log_density = np.array([log_joint(name, HorseshoeLaw(0.3))(w) for w in grid])
        mean, sd = moments_on(grid, log_density)
        evidence += np.log(integrate.trapezoid(np.exp(log_density), grid))
        assert abs(float(found.posterior.mode().params[name][0]) - mean) < 0.4 * sd, name
    bound = found.info["ascent"]["elbo"][-1000:]
    assert evidence - 1.5 < bound.mean() < evidence + 5 * bound.std() / np.sqrt(100)


@pytest.mark.slow
def test_chains_that_are_caught_at_the_pole_of_a_horseshoe_are_told():
    found = ps.fit(KEY, POLES, DATA, ps.NUTS(warmup=300, draws=300))
    assert found.verdict.status == "failed"
    assert "R-hat" in str(found.verdict)


@pytest.mark.parametrize(
    ("prior", "points"),
    [(ps.Horseshoe(0.3, "none"), [-0.3, 0.3]), (ps.SpikeAndSlab(0.01, 2.0, 0.2, "none"), [0])],
)
def test_a_density_integrates_to_one(prior, points):
    with jax.enable_x64(True):
        w = np.concatenate([[0], np.logspace(-25, 9, 400_001)])
        density = np.exp(np.asarray(prior.log_density(jnp.asarray(w))))
    total = 2 * integrate.trapezoid(density[1:] * w[1:], np.log(w[1:]))
    assert abs(total - 1) < 1e-7


FAMILIES = [
    ps.Normal(2.0),
    ps.LaplacePrior(0.5),
    ps.SpikeAndSlab(0.1, 0.8),
    pytest.param(ps.StudentTPrior(5.0, 0.5), marks=pytest.mark.slow),
]


@pytest.mark.parametrize("prior", FAMILIES, ids=lambda p: type(p).__name__)
def test_the_spread_of_a_layers_sums_does_not_depend_on_its_width(prior):
    spreads = []
    for width in (4, 400):
        keys = jax.random.split(KEY, 2000)
        like = {"kernel": jnp.zeros((width, 1))}
        drawn = jax.vmap(lambda key, like=like: prior.sample(key, like)["kernel"][:, 0])(keys)
        sums = np.asarray(drawn).sum(axis=1)
        spreads.append((sums.var(), np.std(sums**2) / np.sqrt(2000)))
    (small, error), (large, other) = spreads
    assert abs(small - large) < 5 * np.hypot(error, other)


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_a_share_that_is_no_probability_is_refused(share):
    with pytest.raises(ValueError, match="share must be a probability"):
        ps.SpikeAndSlab(share=share)


def test_an_array_has_the_prior_of_the_first_glob_that_it_matches():
    prior = ps.ByPath({"layers/1/*": ps.LaplacePrior(), "*kernel": ps.Normal(4.0), "*": ps.Flat()})
    params = ps.MLP(hidden=(3,)).init(KEY, jnp.zeros((2, 2))).params
    terms = trees.flatten(prior.terms(params))
    assert float(terms["layers/0/bias"]) == 0
    assert np.isclose(terms["layers/0/kernel"], trees.flatten(ps.Normal(4.0).terms(params))[
        "layers/0/kernel"])  # fmt: skip
    assert np.isclose(terms["layers/1/bias"], -np.abs(params["layers"][1]["bias"]) - np.log(2))


def test_globs_and_arrays_that_are_left_over_are_named():
    params = ps.MLP(hidden=(3,)).init(KEY, jnp.zeros((2, 2))).params
    with pytest.raises(ValueError, match=r"head/\* of the globs are left over"):
        ps.ByPath({"head/*": ps.Normal(), "*": ps.Flat()}).log_prob(params)
    with pytest.raises(ValueError, match="layers/0/bias, layers/1/bias of the arrays"):
        ps.ByPath({"*kernel": ps.Normal()}).log_prob(params)


def test_parts_keep_their_order_and_the_layout_of_the_network():
    table = ps.Functions(start, forward, layout=(("*table", "no sum"),))
    prior = ps.ByPath({"z*": ps.Normal(), "*": ps.Centred(ps.Normal(), {"a/table": np.ones(3)})})
    made = ps.Model(table, prior, ps.Gaussian(1.0)).prior
    again = jax.tree.map(lambda leaf: leaf, made)
    assert again.paths == ("z*", "*")
    assert again.priors[0].layout == table.layout
    assert again.priors[1].prior.layout == table.layout


@pytest.mark.slow
def test_a_centre_is_weights_a_tree_or_a_fit():
    fit = ps.fit(KEY, ALL, DATA, ps.MAP(steps=5))
    weights = fit.posterior.mode()
    for at in (weights, weights.params, fit):
        assert jax.tree.all(
            jax.tree.map(np.array_equal, ps.Centred(ps.Normal(), at).at, weights.params)
        )
    with pytest.raises(ValueError, match="A Centred expects a network with the weights"):
        ps.Centred(ps.Normal(), fit).log_prob({"a": np.zeros(2)})
    several = ps.fit(KEY, ALL, DATA, ps.Ensemble(ps.MAP(steps=5), 2))
    with pytest.raises(ValueError, match="several members"):
        ps.Centred(ps.Normal(), several)


def test_a_curvature_that_a_laplace_approximation_would_get_wrong_is_refused():
    cases = {
        "LaplacePrior has none": (ps.LaplacePrior(), "full"),
        "EachWeight has none": (Kinked(), "diagonal"),
        "changes with its weights": (ps.StudentTPrior(), "kronecker"),
    }
    for words, (prior, structure) in cases.items():
        made = ps.Model(ps.MLP(1, (3,), "tanh"), prior, ps.Gaussian(NOISE))
        with pytest.raises(ValueError, match=words):
            ps.Laplace(structure=structure).phases(made, DATA)


@pytest.mark.slow
def test_laplace_under_a_smooth_prior_has_the_curvature_at_its_mode():
    one = model({name: ps.StudentTPrior(3.0, 0.4) for name in SEEN})
    at = ps.MAP(steps=500, polish="newton")
    found = ps.fit(KEY, one, DATA, ps.Laplace(at=at))
    assert found.verdict.status == "ok"
    for i, name in enumerate(SEEN):
        w = float(found.posterior.mode().params[name][0])
        curvature = 4 * (3 * 0.16 - w**2) / (3 * 0.16 + w**2) ** 2 + NOISE**-2
        assert np.isclose(found.posterior.covariance.variance()[i], 1 / curvature, rtol=1e-6)


def test_a_gamma_prior_on_a_precision_makes_a_student_t_weight():
    free = ps.Normal(ps.learn(1.0, prior=ps.Gamma(2.0, 0.5)), "none")
    t = stats.t(4.0, scale=0.5)
    for w in (0.0, 0.7, 3.0):

        def density(raw, w=w):
            here = ps.Normal(np.exp(raw), "none").log_prob({"w": jnp.array([w])})
            return float(jnp.exp(here + free.precision.prior.log_prob(np.exp(raw)) + raw))

        assert np.isclose(integrate.quad(density, -20, 8)[0], t.pdf(w), rtol=1e-4)
