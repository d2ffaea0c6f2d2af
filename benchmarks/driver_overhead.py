"""What the driver costs: `fit` against one hand-written jitted scan of the same job, both warm.

The job: mean-field inference of a 1-50-tanh network with a mean and a scale head on 400 points in
four clusters, 2,000 full-batch Adam steps, one shared draw of the weights a step, KL annealing.
Both sides are run in turns in one process; one JSON line gives the medians and their ratio.

    python benchmarks/driver_overhead.py [--pairs 9]
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax

from posterium.datasets.reference import four_clusters
from posterium.driver.fit import fit
from posterium.methods.vi import VI, KLSchedule
from posterium.model.data import as_data
from posterium.model.likelihoods.gaussian import HeteroscedasticGaussian
from posterium.model.model import Model
from posterium.model.network import MLP
from posterium.model.priors.normal import Normal

STEPS, RATE, CAP, FLOOR, SPREAD, START = 2000, 1e-2, 2.0, 1e-3, 8e-3, 1e-4
SHAPES = {"w1": (1, 50), "b1": (50,), "w2": (50, 2), "b2": (2,)}
LOG_2PI = float(np.log(2 * np.pi))


def by_hand(x: jax.Array, y: jax.Array) -> Callable[[int], float]:
    """Return the job as one would write it for this model alone: init, then a scan."""
    adam = optax.adam(RATE)
    sizes = [int(np.prod(shape)) for shape in SHAPES.values()]
    cuts = np.cumsum(sizes)[:-1].tolist()
    precision = np.repeat([1.0, 1.0, 50.0, 1.0], sizes).astype(np.float32)
    ramp = np.clip((np.arange(STEPS) / STEPS - 0.05) / 0.9, 0, 1).astype(np.float32)

    def log_likelihood(vector: jax.Array) -> jax.Array:
        parts = jnp.split(vector, cuts)
        w1, b1, w2, b2 = (p.reshape(s) for p, s in zip(parts, SHAPES.values(), strict=True))
        out = jnp.tanh(x @ w1 + b1) @ w2 + b2
        scale = FLOOR + jax.nn.softplus(out[:, 1])
        return jnp.sum(-0.5 * (((y - out[:, 0]) / scale) ** 2 + LOG_2PI) - jnp.log(scale))

    def loss(guide: tuple[jax.Array, jax.Array], key: jax.Array, weight: jax.Array):
        mean, raw = guide
        sd = CAP * jax.nn.sigmoid(raw)
        fit_term = log_likelihood(mean + sd * jax.random.normal(key, mean.shape))
        moment = precision * (sd**2 + mean**2)
        kl = 0.5 * jnp.sum(moment - 1 - jnp.log(precision) - 2 * jnp.log(sd))
        return (weight * kl - fit_term) / len(x), (fit_term - kl, fit_term, kl)

    def body(carry, inputs):
        guide, memory = carry
        (value, terms), slope = jax.value_and_grad(loss, has_aux=True)(guide, *inputs)
        updates, memory = adam.update(slope, memory)
        return (optax.apply_updates(guide, updates), memory), (-value, *terms)

    @jax.jit
    def run(key: jax.Array):
        start_key, noise_key = jax.random.split(key)
        mean = jax.random.uniform(start_key, (sum(sizes),), minval=-SPREAD, maxval=SPREAD)
        guide = mean, jnp.full(mean.shape, jnp.log(START / (CAP - START)))
        keys = jax.random.split(noise_key, STEPS)
        (guide, _), record = jax.lax.scan(body, (guide, adam.init(guide)), (keys, ramp))
        return guide, record

    def job(seed: int) -> float:
        _, record = jax.tree.map(np.asarray, run(jax.random.key(seed)))
        return float(record[1][-100:].mean())

    return job


def by_driver(x: np.ndarray, y: np.ndarray) -> Callable[[int], float]:
    """Return the job by `fit`."""
    network = MLP(outputs=2, hidden=(50,), activation="tanh")
    model = Model(network, Normal(), HeteroscedasticGaussian(floor=FLOOR))
    data = as_data(x, y)
    method = VI(
        steps=STEPS,
        learning_rate=RATE,
        schedule="constant",
        init_scale=START,
        max_scale=CAP,
        means=SPREAD,
        kl_schedule=KLSchedule(),
    )

    def job(seed: int) -> float:
        done = fit(jax.random.key(seed), model, data, method)
        return float(done.info["ascent"]["elbo"][-100:].mean())

    return job


def seconds(job: Callable[[int], float], seed: int) -> tuple[float, float]:
    """Return the wall seconds of a job, and its ELBO in nats averaged over the last 100 steps."""
    began = time.perf_counter()
    elbo = job(seed)
    return time.perf_counter() - began, elbo


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=9)
    pairs = parser.parse_args().pairs
    x, y = four_clusters()
    x, y = x.astype(np.float32), y.astype(np.float32)
    sides = {"hand": by_hand(jnp.asarray(x), jnp.asarray(y)), "driver": by_driver(x, y)}
    cold = {name: seconds(job, 0)[0] for name, job in sides.items()}
    runs = {name: [] for name in sides}
    for seed in range(1, pairs + 1):
        for name in sorted(sides, reverse=bool(seed % 2)):
            runs[name].append(seconds(sides[name], seed))
    warm = {name: statistics.median(s for s, _ in runs[name]) for name in sides}
    ratios = [d[0] / h[0] for d, h in zip(runs["driver"], runs["hand"], strict=True)]
    elbo = {name: statistics.median(e for _, e in runs[name]) for name in sides}
    line = {
        "workload": "R2.svi, one shared draw a step",
        "hand_warm_s": warm["hand"],
        "driver_warm_s": warm["driver"],
        "ratio": warm["driver"] / warm["hand"],
        "ratio_of_pairs": statistics.median(ratios),
        "hand_cold_s": cold["hand"],
        "driver_cold_s": cold["driver"],
        "hand_elbo": elbo["hand"],
        "driver_elbo": elbo["driver"],
        "pairs": pairs,
    }
    print(json.dumps({k: round(v, 4) if isinstance(v, float) else v for k, v in line.items()}))


if __name__ == "__main__":
    main()
