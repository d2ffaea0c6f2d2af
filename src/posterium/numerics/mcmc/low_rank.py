r"""A mass of low rank, learned from draws and gradients.

.. math:: M^{-1} = D^{1/2} \bigl(I + U (\Lambda - I) U^\top\bigr) D^{1/2}

It makes gradients of the whitened log density as near to minus the draws as it can: the Fisher
divergence from a standard normal (Seyboldt, Carlson and Carpenter 2026, algorithm 1). With S_x and
S_g the covariances of draws and gradients, that is the geometric mean of S_x and the inverse of
S_g. Directions are chosen by how far the logarithm of their value is from 0. BlackJAX is imported
when a sampler is first used.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular

RANK = 10
"""Directions at most."""

LEAST = 2 * RANK
"""Rows of draws at least, seen or not, so that there are enough directions to choose from."""

SHRINKAGE = 1e-5
"""Of both covariances towards that of a standard normal, in squares of draws."""

TELLING = 2.0
"""A direction counts from where its variance is so many times that of D, or of that a fraction."""

ROUNDING = 1e-6
"""Share of a coordinate's squares up to which what directions leave of it is nothing."""


def unit(size: int) -> Any:
    """Return BlackJAX's record of unit mass: roots of D (p,), directions (p, r), values (r,)."""
    from blackjax.mcmc.metrics import LowRankInverseMassMatrix

    rank = min(RANK, size)
    return LowRankInverseMassMatrix(jnp.ones(size), jnp.zeros((size, rank)), jnp.ones(rank))


def fisher(draws: jax.Array, gradients: jax.Array, count: jax.Array) -> Any:
    """Return the inverse mass for the first rows of draws and gradients, (b, p) each.

    A stiff direction adds to the gradients of all weights that it goes through, and narrows their
    D. So D is taken once more from what the directions that are found leave of both.
    """
    from blackjax.mcmc.metrics import LowRankInverseMassMatrix

    seen = (jnp.arange(len(draws)) < count)[:, None]

    def centred(values: jax.Array) -> jax.Array:
        mean = jnp.sum(jnp.where(seen, values, 0), axis=0) / count
        return jnp.where(seen, values - mean[None], 0)

    x, g = centred(draws), centred(gradients)
    scale = balanced_scale(x, g)
    x, g = x / scale[None], g * scale[None]
    along = directions(x, g)[0]

    def left(part: jax.Array) -> jax.Array:
        rest = part - (part @ along) @ along.T
        much = jnp.sum(rest**2, axis=0) > ROUNDING * jnp.sum(part**2, axis=0)
        return jnp.where(much[None], rest, 0)

    again = balanced_scale(left(x), left(g))
    found, values = directions(x / again[None], g * again[None])
    return LowRankInverseMassMatrix(scale * again, found, values)


def balanced_scale(x: jax.Array, g: jax.Array) -> jax.Array:
    """Return the roots of the diagonal D (p,) that is best by itself; 1 where nothing moves."""
    scale = (jnp.sum(x**2, axis=0) / jnp.sum(g**2, axis=0)) ** 0.25
    return jnp.where(jnp.isfinite(scale) & (scale > 0), scale, 1)


def directions(x: jax.Array, g: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return directions (p, r), and their values (r,), in the span of the leading ones of both."""
    leading = [jnp.linalg.svd(part, full_matrices=False)[2][:RANK] for part in (x, g)]
    basis = jnp.linalg.qr(jnp.concatenate(leading).T)[0]
    unit = jnp.eye(basis.shape[1], dtype=basis.dtype)
    inner = [(part @ basis).T @ (part @ basis) / SHRINKAGE + unit for part in (x, g)]
    values, vectors = jnp.linalg.eigh(balance(*inner))
    values = jnp.maximum(values, jnp.finfo(values.dtype).eps * jnp.max(values))
    away = jnp.abs(jnp.log(values))
    kept = jnp.argsort(-away)[: min(RANK, x.shape[1])]
    return basis @ vectors[:, kept], jnp.where(away > jnp.log(TELLING), values, 1)[kept]


def balance(a: jax.Array, b: jax.Array) -> jax.Array:
    """Return the geometric mean of a and the inverse of b: the positive S with S b S = a."""
    root = jnp.linalg.cholesky(b)
    values, vectors = jnp.linalg.eigh(root.T @ a @ root)
    middle = (vectors * jnp.sqrt(jnp.maximum(values, 0))[None]) @ vectors.T
    half = solve_triangular(root, middle, lower=True, trans=1)
    return solve_triangular(root, half.T, lower=True, trans=1)
