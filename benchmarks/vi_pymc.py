"""The side of PyMC; run by `benchmarks.vi`."""

import logging

import numpy as np
import pymc as pm

from benchmarks import vi_job as common
from posterium.datasets.reference import scaled_moons


def build(x: np.ndarray, y: np.ndarray, seed: int) -> pm.Model:
    """Return R3's network 2-5-5-1 without biases, started at standard normals."""
    rng = np.random.default_rng(seed)
    with pm.Model() as model:
        inputs = pm.Data("x", x)
        layers = [
            pm.Normal(name, 0, 1, shape=shape, initval=rng.standard_normal(shape))
            for name, shape in (("first", (2, 5)), ("second", (5, 5)), ("last", (5,)))
        ]
        hidden = pm.math.tanh(pm.math.dot(inputs, layers[0]))
        hidden = pm.math.tanh(pm.math.dot(hidden, layers[1]))
        p = pm.math.sigmoid(pm.math.dot(hidden, layers[2]))
        pm.Bernoulli("label", p, observed=y, shape=inputs.shape[0])
    return model


def advi(steps: int, threads: int) -> common.Run:
    """Return R3.advi: PyMC's own rule, 5,000 draws, labels predicted at two sets of inputs."""
    logging.getLogger("pymc").setLevel(logging.ERROR)
    (x, y), (x_test, y_test) = scaled_moons()
    grid = common.moons_grid()

    def run(seed: int) -> tuple[common.Times, common.Scores]:
        clock = common.Clock()
        quiet = {"progressbar": False, "random_seed": seed}
        model = clock("fit", build, x, y.astype(float), seed)

        def predict(trace, inputs: np.ndarray) -> np.ndarray:
            pm.set_data({"x": inputs})
            found = pm.sample_posterior_predictive(trace, **quiet)
            return found.posterior_predictive["label"].values.mean((0, 1))

        with model:
            found = clock("fit", lambda: pm.fit(n=steps, **quiet))
            trace = clock("predict", lambda: found.sample(common.ADVI_DRAWS, random_seed=seed))
            p = clock("predict", predict, trace, x_test)
            clock("predict", predict, trace, grid)
        late = float(np.mean(found.hist[-1000:]))
        return clock.seconds, {"minus_elbo": late, **common.two_class_scores(p, y_test)}

    return run


if __name__ == "__main__":
    common.tell({"R3.advi": advi})
