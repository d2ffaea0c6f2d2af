"""Models with two weights: the log joint all over the plane, and Gaussians in it."""

import jax
import jax.numpy as jnp
import numpy as np

from posterium import Data, Fit, Model, Weights


def log_joint(model: Model, data: Data, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the log joint in nats on a grid of both coefficients, (b, a), in float64."""
    grid = np.stack(np.meshgrid(first, second), axis=-1).reshape(-1, 2, 1)

    def one(coefficients: jax.Array) -> jax.Array:
        weights = Weights({"coefficients": coefficients})
        log_prior, log_likelihood, _ = model.log_joint(weights, data)
        return log_prior + log_likelihood

    with jax.enable_x64(True):
        values = jax.lax.map(one, jnp.asarray(grid), batch_size=4096)
    return np.asarray(values).reshape(len(second), len(first))


def moments(result: Fit) -> tuple[np.ndarray, np.ndarray]:
    """Return mean (2,) and covariance (2, 2) of a Gaussian over both coefficients."""
    mean = result.posterior.mode().params["coefficients"][:, 0]
    return mean, np.asarray(result.posterior.covariance.dense())


def divergence(found: tuple[np.ndarray, np.ndarray], truth: tuple[np.ndarray, np.ndarray]) -> float:
    """Return KL(found, truth) of two Gaussians, mean and covariance each, in nats."""
    ratio = np.linalg.solve(truth[1], found[1])
    gap = found[0] - truth[0]
    spread = np.trace(ratio) - len(gap) - np.linalg.slogdet(ratio)[1]
    return 0.5 * (spread + gap @ np.linalg.solve(truth[1], gap))


def integrate(
    values: np.ndarray, first: np.ndarray, second: np.ndarray
) -> tuple[float, np.ndarray]:
    """Return the log integral in nats of exp(values) over an even grid, and the mass of each cell.

    The rectangle rule: exact to rounding for smooth functions that vanish at the edges.
    """
    mass = np.exp(values - values.max())
    cell = (first[1] - first[0]) * (second[1] - second[0])
    return float(values.max() + np.log(mass.sum() * cell)), mass / mass.sum()
