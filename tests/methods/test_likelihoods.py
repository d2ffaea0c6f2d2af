"""Methods under every likelihood: posteriors of one weight against a grid, and Laplace's GGN."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import posterium as ps

RNG = np.random.default_rng(4)
X = RNG.uniform(-1, 1.5, (24, 1))
SLOPE = 0.8 * X
GRID = np.linspace(-3, 4, 4001)[:, None]
KEY = jax.random.key(2)
TIMES = 2 * np.exp(SLOPE) * RNG.weibull(1.7, (24, 1))
CUT = RNG.uniform(1, 4, (24, 1))


def network(outputs):
    def start(key, x):
        return {"w": 0.1 * jax.random.normal(key, (1, outputs))}

    return ps.Functions(start, lambda params, x: x @ params["w"])


NOISY = SLOPE + 0.4 * RNG.standard_t(5, (24, 1))
CASES = {
    "StudentT": (ps.StudentT(0.4, 4.0), NOISY),
    "LaplaceNoise": (ps.LaplaceNoise(0.4), NOISY),
    "Quantile": (ps.Quantile(0.3, 0.3), NOISY),
    "Poisson": (ps.Poisson(3.0), RNG.poisson(3 * np.exp(SLOPE)).astype(float)),
    "NegativeBinomial": (ps.NegativeBinomial(0.3, 3.0), RNG.poisson(3 * np.exp(SLOPE)) * 1.0),
    "Weibull": (ps.Weibull(1.7, 2.0), np.c_[np.minimum(TIMES, CUT), TIMES < CUT]),
    "Ordinal": (
        ps.Ordinal(np.array([1.0])),
        np.digitize(SLOPE + RNG.logistic(size=SLOPE.shape), [0, 1])[:, 0],
    ),
}  # fmt: skip
WIDE = {
    "HeteroscedasticStudentT": (ps.HeteroscedasticStudentT(0.1, 4.0), NOISY),
    "HeteroscedasticLaplace": (ps.HeteroscedasticLaplace(0.1), NOISY),
    "several quantiles": (ps.Quantile((0.2, 0.5, 0.9), 0.3), NOISY),
    "MixtureOfGaussians": (ps.MixtureOfGaussians(2, 0.1), NOISY),
}


def model_of(likelihood, y):
    columns = 1 if y.ndim == 1 else y.shape[1]
    targets = int(y.max()) + 1 if y.ndim == 1 else columns
    return ps.Model(network(likelihood.outputs(targets)), ps.Normal(0.5, "none"), likelihood)


def by_grid(likelihood, y):
    """Return mean and sd of the one weight, and where its density is largest."""
    with jax.enable_x64(True):

        def log_joint(w):
            return (
                jnp.sum(likelihood.log_prob(jnp.asarray(X) * w[None], jnp.asarray(y)))
                - 0.25 * w[0] ** 2
            )

        values = np.asarray(jax.vmap(log_joint)(jnp.asarray(GRID)))
    share = np.exp(values - values.max())
    share /= share.sum()
    mean = float(share @ GRID[:, 0])
    return mean, float(np.sqrt(share @ (GRID[:, 0] - mean) ** 2)), float(GRID[values.argmax(), 0])


@pytest.mark.parametrize("name", [*CASES, *WIDE])
def test_laplace_has_the_expected_hessian_at_the_weights(name):
    likelihood, y = (CASES | WIDE)[name]
    model = model_of(likelihood, y)
    w = np.linspace(0.3, 0.7, model.network.init(KEY, X).params["w"].size)[None]
    start = ps.Weights({"w": w})
    fitted = ps.fit(KEY, model, ps.as_data(X, y), ps.Laplace(at=None), start=start)
    with jax.enable_x64(True):
        fisher = np.asarray(likelihood.fisher(jnp.asarray(X @ w)))
    exact = np.einsum("n,nij->ij", X[:, 0] ** 2, fisher) + 0.5 * np.eye(w.size)
    with jax.enable_x64(True):
        found = np.asarray(fitted.posterior.covariance.dense())
    np.testing.assert_allclose(found @ exact, np.eye(w.size), rtol=0, atol=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_one_weight_has_the_posterior_of_a_grid_under_every_method(name):
    likelihood, y = CASES[name]
    model, data = model_of(likelihood, y), ps.as_data(X, y)
    mean, sd, mode = by_grid(likelihood, y)
    best = ps.fit(KEY, model, data, ps.MAP(steps=800, learning_rate=0.02))
    assert abs(float(best.posterior.mode().params["w"][0, 0]) - mode) < 0.1 * sd
    drawn = ps.fit(KEY, model, data, ps.NUTS(warmup=300, draws=1000))
    weights = np.asarray(drawn.posterior.draws.weights.params["w"]).ravel()
    assert drawn.verdict.status == "ok"
    assert abs(weights.mean() - mean) < 5 * sd / 400**0.5
    assert abs(weights.std() / sd - 1) < 5 * (2 / 400) ** 0.5
    gaussian = ps.fit(KEY, model, data, ps.VI(steps=2000, samples=8, average=0.2))
    assert abs(float(gaussian.posterior.mode().params["w"][0, 0]) - mean) < 0.2 * sd
    tested = ps.predict(KEY, gaussian, X[:3])
    assert np.isfinite(tested.log_prob(y[:3])).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    "likelihood",
    [
        ps.StudentT(ps.learn(0.5, prior=ps.HalfNormal(1.0))),
        ps.HeteroscedasticStudentT(),
        ps.NegativeBinomial(unit=3.0),
    ],
)
def test_free_tails_and_dispersions_are_sampled(likelihood):
    name = type(likelihood).__name__
    y = CASES["Poisson"][1] if name == "NegativeBinomial" else NOISY
    fitted = ps.fit(KEY, model_of(likelihood, y), ps.as_data(X, y), ps.NUTS(warmup=300, draws=500))
    assert fitted.verdict.status == "ok"
    found = ps.predict(KEY, fitted, X[:5])
    assert np.isfinite(found.sd).all()
    assert np.isfinite(found.crps(y[:5])).all()
