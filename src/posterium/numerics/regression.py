"""Bayesian linear regression in closed form, one output at a time, by QR.

Rows A (r, m) and b (r,) stand for weighted data: A^T A, A^T b and b^T b are theirs, `count` is
their summed weight. Prior N(0, diag(1 / precision)), noise N(0, noise_sd^2). With no more weights
than rows the normal equations are avoided by QR of the rows over the root of the prior; with
more weights than rows the same is done in the space of the rows (the dual form).
"""

import math

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular

LOG_2PI = math.log(2 * math.pi)


def compress(rows: jax.Array, new: jax.Array) -> jax.Array:
    """Fold new rows (n, q) into kept ones (q, q) that have the same Gram matrix in total."""
    return jnp.linalg.qr(jnp.concatenate([rows, new]), mode="r")


def posterior(
    a: jax.Array, b: jax.Array, precision: jax.Array, noise_sd: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Return the mean (m,) of the weights and a factor F (m, m) of their covariance, F F^T."""
    if a.shape[0] < a.shape[1]:
        return _dual_posterior(a, b, precision, noise_sd)
    upper, projected, _ = _primal(a, b, precision, noise_sd)
    identity = jnp.eye(a.shape[1], dtype=a.dtype)
    inverse = solve_triangular(upper, identity)
    return solve_triangular(upper, projected), noise_sd * inverse


def _dual_posterior(
    a: jax.Array, b: jax.Array, precision: jax.Array, noise_sd: jax.Array
) -> tuple[jax.Array, jax.Array]:
    prior_sd = 1 / jnp.sqrt(precision)
    left, singular, right = jnp.linalg.svd(a * prior_sd[None, :], full_matrices=False)
    total = jnp.hypot(singular, noise_sd)
    mean = prior_sd * (right.T @ ((singular / total**2) * (left.T @ b)))
    shrink = 1 - noise_sd / total
    root = jnp.eye(a.shape[1], dtype=a.dtype) - right.T @ (shrink[:, None] * right)
    return mean, prior_sd[:, None] * root


def _primal(
    a: jax.Array, b: jax.Array, precision: jax.Array, noise_sd: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return R and c with mean = R^-1 c, and the squared length of the residual."""
    stacked = jnp.concatenate([a, noise_sd * jnp.diag(jnp.sqrt(precision))])
    target = jnp.concatenate([b, jnp.zeros(a.shape[1], a.dtype)])
    orthogonal, upper = jnp.linalg.qr(stacked)
    projected = orthogonal.T @ target
    return upper, projected, jnp.sum((target - orthogonal @ projected) ** 2)


def log_evidence(
    a: jax.Array, b: jax.Array, precision: jax.Array, noise_sd: jax.Array, count: jax.Array
) -> jax.Array:
    """Return log p(y) in nats, differentiable in everything.

    A precision of 0 is the improper prior of height 1.
    """
    rows, weights = a.shape
    if rows < weights:
        spread = (a / jnp.sqrt(precision)[None, :]).T
        noise = noise_sd * jnp.eye(rows, dtype=a.dtype)
        upper = jnp.linalg.qr(jnp.concatenate([spread, noise]), mode="r")
        whitened = solve_triangular(upper, b, trans="T")
        extra = (count - rows) * (LOG_2PI + 2 * jnp.log(noise_sd))
        return -0.5 * (rows * LOG_2PI + _log_det(upper) + whitened @ whitened + extra)
    upper, _, residual = _primal(a, b, precision, noise_sd)
    proper = precision > 0
    prior = jnp.sum(jnp.where(proper, jnp.log(jnp.where(proper, precision, 1)) - LOG_2PI, 0))
    volume = weights * (LOG_2PI + 2 * jnp.log(noise_sd)) - _log_det(upper)
    fit = count * (LOG_2PI + 2 * jnp.log(noise_sd)) + residual / noise_sd**2
    return 0.5 * (volume + prior - fit)


def _log_det(upper: jax.Array) -> jax.Array:
    """Return log det R^T R."""
    return 2 * jnp.sum(jnp.log(jnp.abs(jnp.diagonal(upper))))
