r"""Classes in an order, such as grades: one output, and cut points between the classes.

.. math:: P(y \le j) = \mathrm{sigmoid}(c_j - f)

with increasing cut points c (mccullagh1980: proportional odds).
"""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from posterium._struct import struct
from posterium.model.hyper import value
from posterium.model.likelihoods.base import diagonal


@struct
class Ordinal:
    """Ordered classes from one output that moves along the cut points; y holds 0 to c - 1.

    Parameters
    ----------
    gaps
        Distances between neighbouring cut points, (c - 2,), above 0: numbers (of 3 classes one
        will do), or ``learn(np.ones(c - 2))``. The cut points lie about 0; where they lie as a
        whole is the network's bias.
    """

    gaps: Any
    task: ClassVar[str] = "classification"
    linear_mean: ClassVar[bool] = False
    ordered: ClassVar[bool] = True
    positive: ClassVar[tuple[str, ...]] = ("gaps",)

    @property
    def classes(self) -> int:
        """Number of classes c."""
        return np.size(value(self.gaps)) + 2

    def outputs(self, targets: int) -> int:
        if targets != self.classes:
            raise ValueError(
                f"Ordinal with {self.classes - 2} gaps expects {self.classes} classes; got "
                f"{targets}. Give it one gap fewer than there are cut points, classes - 2: "
                f"Ordinal(learn(np.ones({targets - 2})))."
            )
        return 1

    def cuts(self) -> jax.Array:
        """Return the cut points, (c - 1,), of mean 0."""
        cuts = jnp.concatenate([jnp.zeros(1), jnp.cumsum(jnp.ravel(value(self.gaps)))])
        return cuts - jnp.mean(cuts)

    def log_probs(self, f: jax.Array) -> jax.Array:
        """Return the log probabilities of all classes, (n, c), in nats.

        Of a class between two cuts it is the log of a difference of sigmoids, taken apart so that
        nothing cancels: log s(a) + log s(-b) + log(1 - e^(b-a)) for the cuts a > b.
        """
        away = self.cuts().astype(f.dtype)[None] - f
        below, above = jax.nn.log_sigmoid(away), jax.nn.log_sigmoid(-away)
        width = jnp.ravel(value(self.gaps)).astype(f.dtype)[None]
        inner = below[:, 1:] + above[:, :-1] + jnp.log(-jnp.expm1(-width))
        return jnp.concatenate([below[:, :1], inner, above[:, -1:]], axis=-1)

    def log_prob(self, f: jax.Array, y: jax.Array) -> jax.Array:
        return jnp.take_along_axis(self.log_probs(f), y[..., None], axis=-1)[..., 0]

    def fisher(self, f: jax.Array) -> jax.Array:
        """Return the sum over classes of P(c) times the squared slope of log P(c), (n, 1, 1)."""
        low = jax.nn.sigmoid(self.cuts().astype(f.dtype)[None] - f)
        edge = jnp.zeros_like(f)
        below = jnp.concatenate([edge, low], axis=-1)
        upto = jnp.concatenate([low, edge + 1], axis=-1)
        slope = below + upto - 1
        return diagonal(jnp.sum(jnp.exp(self.log_probs(f)) * slope**2, axis=-1, keepdims=True))

    def sample(self, key: jax.Array, f: jax.Array) -> jax.Array:
        return jax.random.categorical(key, self.log_probs(f)).astype(jnp.int32)
