"""The side of posterium; run by `benchmarks.vi`.

Fits are not assessed by draws at their end, since no other side does that.
"""

import warnings
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

import posterium as ps
from benchmarks import vi_job as common
from posterium.datasets.reference import outlier6, scaled_moons
from posterium.recipes import clusters, r0_vi, steps


def fitted(seed: int, model: ps.Model, data: ps.Data, method: Any) -> ps.Fit:
    """Fit, and wait for the end."""
    found = ps.fit(jax.random.key(seed), model, data, method)
    jax.block_until_ready(found.posterior)
    return found


def drawn(seed: int, fit: ps.Fit, x: np.ndarray, draws: int) -> Any:
    """Predict from draws of the weights."""
    return ps.predict(jax.random.key(seed), fit, x, draws=draws, how="draws")


def of_plane(name: str) -> Callable[[int, int], common.Run]:
    """Return R0.vi or R0.vi-mlp: one fit that records its way, and the grid now and then."""
    hidden, variance = ((), 4.0) if name == "R0.vi" else ((50,), 100.0)
    model = r0_vi.mean_field(hidden, variance)
    every = common.SHOWN[name]

    def build(count: int, threads: int) -> common.Run:
        x, y, grid = common.plane(name)
        data = ps.as_data(x, y.astype(int))
        method = ps.VI(
            steps=count,
            optimiser="sgd" if name == "R0.vi" else "adam",
            learning_rate=0.1,
            schedule="constant",
            init_scale=r0_vi.START,
            means="zero",
            point="*/bias",
            assess=0,
        )

        def run(seed: int) -> tuple[common.Times, common.Scores]:
            clock = common.Clock()
            found = clock("fit", fitted, seed, model, data, steps.Watched(method))

            def probability(at: int, x: np.ndarray, draws: int) -> np.ndarray:
                return drawn(seed, steps.after(found, at), x, draws).probs[:, 1]

            for done in range(0, count, every):
                at = min(done + every, count)
                p = clock("predict", probability, at, x, common.ROW_DRAWS[name])
                clock("predict", probability, at, grid, common.GRID_DRAWS)
            return clock.seconds, common.two_class_scores(p, y)

        return run

    return build


def bbvi(count: int, threads: int) -> common.Run:
    """Return R1.bbvi."""
    model = ps.Model(ps.Linear(ps.Affine()), ps.Normal(3.0, scaling="none"), ps.Gaussian(1.0))
    data = ps.as_data(*outlier6())
    method = ps.VI(
        family="full",
        steps=count,
        samples=1000,
        learning_rate=5e-3,
        schedule="constant",
        betas=(0.99, 0.999),
        means="zero",
        init_scale=1.0,
        assess=0,
    )

    def run(seed: int) -> tuple[common.Times, common.Scores]:
        clock = common.Clock()
        found = clock("fit", fitted, seed, model, data, method).posterior
        mean = np.asarray(found.mode().params["coefficients"], float)[:, 0]
        return clock.seconds, common.line_scores(mean, found.covariance.dense())

    return run


def svi(count: int, threads: int) -> common.Run:
    """Return R2.svi."""
    x, y, x_test, y_test = common.clusters()
    model = clusters.network(ps.HeteroscedasticGaussian(floor=1e-3))
    data = ps.as_data(x, y)
    method = clusters.svi(steps=count, assess=0)

    def run(seed: int) -> tuple[common.Times, common.Scores]:
        clock = common.Clock()
        found = clock("fit", fitted, seed, model, data, method)

        def predict() -> list[Any]:
            return list(drawn(seed, found, x_test, common.SVI_DRAWS).components())

        (block,) = clock("predict", predict)
        mean, sd = block.mean[:, :, 0], np.sqrt(block.variance[:, :, 0])
        return clock.seconds, common.mixture_scores(mean.astype(float), sd, y_test[:, 0])

    return run


def advi(count: int, threads: int) -> common.Run:
    """Return R3.advi, with Adam and a decaying rate."""
    (x, y), (x_test, y_test) = scaled_moons()
    network = ps.MLP(outputs=1, hidden=(5, 5), activation="tanh", bias=False)
    model = ps.Model(network, ps.Normal(1.0, scaling="none"), ps.Bernoulli())
    data, grid = ps.as_data(x, y), common.moons_grid()
    method = ps.VI(steps=count, learning_rate=1e-2, assess=0)

    def run(seed: int) -> tuple[common.Times, common.Scores]:
        clock = common.Clock()
        found = clock("fit", fitted, seed, model, data, method)

        def predict(x: np.ndarray) -> np.ndarray:
            return drawn(seed, found, x, common.ADVI_DRAWS).probs[:, 1]

        p = clock("predict", predict, x_test)
        clock("predict", predict, grid)
        late = float(-np.mean(found.info["ascent"]["elbo"][-1000:]))
        return clock.seconds, {"minus_elbo": late, **common.two_class_scores(p, y_test)}

    return run


def bbb(count: int, threads: int) -> common.Run:
    """Return R4.bbb."""
    x, y, every, targets, clean = common.curve()
    model = ps.Model(
        ps.MLP(outputs=1, hidden=(20,) * 4), ps.Normal(1.0, scaling="none"), ps.Gaussian(0.1)
    )
    data = ps.as_data(x, y)
    method = ps.VI(
        steps=count,
        schedule="constant",
        init_scale=float(np.log1p(np.exp(-2.5))),
        means=1e-3 * np.sqrt(3),
        kl="sampled",
        assess=0,
    )

    def run(seed: int) -> tuple[common.Times, common.Scores]:
        clock = common.Clock()
        found = clock("fit", fitted, seed, model, data, method)

        def predict() -> common.Scores:
            blocks = drawn(seed, found, every, common.BBB_DRAWS).components()
            draws = np.concatenate([block.mean[:, :, 0] for block in blocks], axis=1)
            return common.band_scores(draws, targets, clean)

        scores = clock("predict", predict)
        return clock.seconds, scores

    return run


def digits(count: int, threads: int) -> common.Run:
    """Return the digits."""
    x, y, rest, labels, every = common.images()
    model = ps.Model(
        ps.MLP(outputs=10, hidden=(512, 512)), ps.Normal(1.0, scaling="none"), ps.Categorical()
    )
    data = ps.as_data(x, y)
    method = ps.VI(
        steps=count,
        learning_rate=1e-3,
        schedule="constant",
        batch_size=common.BATCH,
        init_scale=float(np.log1p(np.exp(-4.0))),
        assess=0,
    )

    def run(seed: int) -> tuple[common.Times, common.Scores]:
        clock = common.Clock()
        found = clock("fit", fitted, seed, model, data, method)

        def predict(x: np.ndarray) -> np.ndarray:
            return drawn(seed, found, x, common.DIGITS_DRAWS).probs

        clock("predict", predict, every)
        return clock.seconds, common.class_scores(predict(rest), labels)

    return run


JOBS = {
    "R0.vi": of_plane("R0.vi"),
    "R0.vi-mlp": of_plane("R0.vi-mlp"),
    "R1.bbvi": bbvi,
    "R2.svi": svi,
    "R3.advi": advi,
    "R4.bbb": bbb,
    "digits": digits,
}

if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    common.tell(JOBS)
