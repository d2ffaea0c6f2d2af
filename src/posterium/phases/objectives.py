r"""What variational inference climbs: the evidence lower bound, and bounds that weigh draws anew.

With draws w of q, row log likelihoods l_i(w) and r(w) = log q(w) - log p(w), whose mean is the KL.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp

from posterium._struct import struct

Total = Callable[[jax.Array], jax.Array]
"""Maps a quantity of each row of a batch, (b,), to its sum over all rows."""


@struct
class ELBO:
    r"""The evidence lower bound: :math:`E_q[\sum_i l_i] - KL(q, p)`."""

    def value(self, row: jax.Array, kl: jax.Array, total: Total) -> jax.Array:
        """Return the objective in nats.

        Parameters
        ----------
        row
            Log likelihood of each draw and row, (s, b).
        kl
            log q - log p of each draw, (s,); or the KL itself, ().
        total
            The sum over all rows.
        """
        return jnp.mean(jax.vmap(total)(row)) - jnp.mean(kl)


@struct
class Renyi:
    r"""The variational Renyi bound (Li and Turner 2016).

    .. math:: \frac{1}{1 - \alpha} \log E_q\left[\exp((1 - \alpha) (\textstyle\sum_i l_i - r))
       \right]

    It falls as alpha grows: 1 is the evidence lower bound, 0 the importance-weighted bound of the
    step's draws (Burda et al. 2016), which nears the log evidence with their number; below 1 the
    posterior covers more, above 1 it seeks a mode. Of few draws the estimate is biased towards
    the lower bound. Minibatches are scaled by n/b inside the exponential, as in the source.

    Parameters
    ----------
    alpha
        The order.
    """

    alpha: Any

    def __post_init__(self) -> None:
        _check(self)

    def value(self, row: jax.Array, kl: jax.Array, total: Total) -> jax.Array:
        return log_power_mean(jax.vmap(total)(row) - kl, 1 - self.alpha)


@struct
class BlackBoxAlpha:
    r"""Black-box alpha divergences (Hernandez-Lobato et al. 2016), reparameterised.

    .. math:: \frac{1}{\alpha} \sum_i \log E_q[\exp(\alpha \, l_i)] - KL(q, p)

    The form of Li and Gal (2017), eq. 10. Towards 0 it is the evidence lower bound; at 1 each row
    is scored by its predictive density, which gives wider posteriors and better noise levels.

    Parameters
    ----------
    alpha
        The order, commonly from 0 to 1.
    """

    alpha: Any

    def __post_init__(self) -> None:
        _check(self)

    def value(self, row: jax.Array, kl: jax.Array, total: Total) -> jax.Array:
        return total(log_power_mean(row, self.alpha)) - jnp.mean(kl)


def log_power_mean(x: jax.Array, t: jax.Array | float) -> jax.Array:
    """Return log(mean(exp(t x))) / t over the leading axis; at t = 0 its limit, the mean."""
    at_zero = jnp.abs(t) < jnp.finfo(x.dtype).eps
    safe = jnp.where(at_zero, 1, t).astype(x.dtype)
    power = (logsumexp(safe * x, axis=0) - np.log(len(x))) / safe
    return jnp.where(at_zero, jnp.mean(x, axis=0), power)


def _check(objective: Any) -> None:
    alpha = objective.alpha
    if isinstance(alpha, int | float) and not np.isfinite(alpha):
        name = type(objective).__name__
        raise ValueError(f"{name} expects a finite number as alpha, such as 0.5; got {alpha}.")
