"""The side of a loop in plain JAX that calls a jitted step a time; run by `benchmarks.vi`."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks import vi_job as common
from posterium.datasets.reference import outlier6

SAMPLES, PRECISION = 1000, 3.0


def bbvi(steps: int, threads: int) -> common.Run:
    """Return R1.bbvi: full covariance by a Cholesky factor, 1,000 draws a step."""
    x, y = outlier6()
    basis = jnp.asarray(np.hstack([np.ones_like(x), x]), jnp.float32)
    y = jnp.asarray(y, jnp.float32)
    adam = optax.adam(5e-3, b1=0.99, b2=0.999)

    def factor(raw: jax.Array) -> jax.Array:
        return jnp.tril(raw, -1) + jnp.diag(jnp.exp(jnp.diagonal(raw)))

    def loss(q: tuple[jax.Array, jax.Array], key: jax.Array) -> jax.Array:
        mean, raw = q
        root = factor(raw)
        draws = mean + jax.random.normal(key, (SAMPLES, 2)) @ root.T
        log_likelihood = -0.5 * jnp.sum((y - draws @ basis.T) ** 2, axis=1)
        moment = PRECISION * (jnp.sum(root**2) + mean @ mean)
        kl = 0.5 * (moment - 2 - 2 * jnp.log(PRECISION)) - jnp.sum(jnp.diagonal(raw))
        return kl - jnp.mean(log_likelihood)

    @jax.jit
    def step(q, memory, key):
        value, slope = jax.value_and_grad(loss)(q, key)
        updates, memory = adam.update(slope, memory)
        return optax.apply_updates(q, updates), memory, value

    def train(seed: int) -> tuple[np.ndarray, np.ndarray]:
        key = jax.random.key(seed)
        q = jnp.zeros(2), jnp.zeros((2, 2))
        memory, values = adam.init(q), []
        for _ in range(steps):
            key, own = jax.random.split(key)
            q, memory, value = step(q, memory, own)
            values.append(value)
        jax.block_until_ready(values)
        return np.asarray(q[0]), np.asarray(factor(q[1]))

    def run(seed: int) -> tuple[common.Times, common.Scores]:
        clock = common.Clock()
        mean, root = clock("fit", train, seed)
        return clock.seconds, common.line_scores(mean, root @ root.T)

    return run


if __name__ == "__main__":
    common.tell({"R1.bbvi": bbvi})
