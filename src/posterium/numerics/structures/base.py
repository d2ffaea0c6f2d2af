r"""Structures: how the curvature of a sum over rows is kept, and what a Gaussian takes from it.

The curvature in the weights is :math:`C = \sum_g c_g \sum_i w_i J_i^T R_{ig} R_{ig}^T J_i` with J
the Jacobian of the outputs, R a square root of the loss' curvature in them and groups g of columns,
each counted by a factor c (the precision of an output's noise) that may still move. The precision
of the weights is C + diag(tau).

A structure is a record with `work` (what a row costs), `sums` (of a batch, added up leaf by leaf),
`prepare` (once, after the last batch), and then `covariance`, `log_det` and `diagonal` at any
factors and any tau.
"""

from typing import Any, Protocol

import jax

from posterium.numerics.covariances.base import Covariance, Function


class Structure(Protocol):
    """What is kept of the curvature."""

    def work(self, outputs: int, weights: int) -> int:
        """Return about how many multiplications a row takes whose Jacobian is so large."""
        ...

    def sums(self, f: Function, params: Any, x: Any, root: jax.Array, weight: jax.Array) -> Any:
        """Return the curvature summed over the rows of a batch: a pytree to be added up.

        Parameters
        ----------
        f, params, x
            A function, its weights, and a batch with leading axis n.
        root
            A square root of each row's curvature in the outputs, (n, k, g, r): r columns for each
            of g groups.
        weight
            Weights of the rows, (n,), 0 for padding.
        """
        ...

    def prepare(self, sums: Any, f: Function, params: Any, x: Any, tau: jax.Array) -> Any:
        """Return what the methods below take, at any factors and tau; soonest at this tau."""
        ...

    def covariance(self, ready: Any, factor: jax.Array, tau: jax.Array) -> Covariance:
        """Return the inverse of the precision, at factors (g,) and tau (p,)."""
        ...

    def log_det(self, ready: Any, factor: jax.Array, tau: jax.Array) -> jax.Array:
        """Return the log determinant of the precision, differentiable in both."""
        ...

    def diagonal(self, ready: Any, factor: jax.Array) -> jax.Array:
        """Return the diagonal of the curvature, (p,)."""
        ...
