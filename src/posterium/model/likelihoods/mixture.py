"""Density networks: a mixture of Gaussians whose every number the network predicts (bishop1994)."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from posterium._struct import static, struct
from posterium.model.likelihoods.base import LEAST_NOISE, one_target, softplus_scale
from posterium.model.priors.base import LOG_2PI

NODES = 64
"""Gauss-Hermite nodes of each component under the Fisher information."""


@struct
class MixtureOfGaussians:
    """A mixture of m Gaussians: f = (m logits, m means, m raw sds), for one target column.

    For targets that may be one of several things at the same inputs. The sd of a component is
    floor + softplus(raw).

    Parameters
    ----------
    components
        How many Gaussians, m.
    floor
        Least sd of a component, in target units.
    spread
        The means of the components lie evenly over -spread to spread where the network's outputs
        are 0, in target units: without this all components would learn the same.
    """

    components: int = static(default=3)
    floor: Any = LEAST_NOISE
    spread: float = 1.0
    task: ClassVar[str] = "regression"
    linear_mean: ClassVar[bool] = False
    distribution: ClassVar[str] = "mixture"

    def __post_init__(self) -> None:
        if self.components < 1:
            raise ValueError(f"components must be at least 1; got {self.components}.")

    def outputs(self, targets: int) -> int:
        one_target("MixtureOfGaussians", targets)
        return 3 * self.components

    def parameters(self, f: jax.Array) -> tuple[jax.Array, ...]:
        """Return log weights, means and sds of the components, (n, m) each."""
        logits, means, raw = jnp.split(f, 3, axis=-1)
        places = jnp.linspace(-1.0, 1.0, self.components) if self.components > 1 else jnp.zeros(1)
        start = (self.spread * places).astype(f.dtype)[None]
        scale, _ = softplus_scale(raw, self.floor)
        return jax.nn.log_softmax(logits, axis=-1), means + start, scale

    def _terms(self, f: jax.Array, y: jax.Array) -> jax.Array:
        log_weight, mean, sd = self.parameters(f)
        return log_weight - 0.5 * (((y - mean) / sd) ** 2 + LOG_2PI) - jnp.log(sd)

    def log_prob(self, f: jax.Array, y: jax.Array) -> jax.Array:
        return jax.nn.logsumexp(self._terms(f, y), axis=-1)

    def moments(self, f: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return mean and variance of the target, each (n, 1)."""
        log_weight, mean, sd = self.parameters(f)
        weight = jnp.exp(log_weight)
        centre = jnp.sum(weight * mean, axis=-1, keepdims=True)
        spread = jnp.sum(weight * (sd**2 + (mean - centre) ** 2), axis=-1, keepdims=True)
        return centre, spread

    def _score(self, f: jax.Array, y: jax.Array) -> jax.Array:
        """Return the slope of the log density in the outputs at targets y (n, 1), (n, 3 m)."""
        _, vjp = jax.vjp(lambda f: self.log_prob(f, y), f)
        return vjp(jnp.ones(len(f), f.dtype))[0]

    def fisher(self, f: jax.Array) -> jax.Array:
        """Return the expected outer product of the score, by quadrature over each component.

        It has no closed form. Gauss-Hermite nodes of every component, 64 each: about 1e-6 of the
        largest entry where sds are within a factor of 3.
        """
        node, share = (np.asarray(a) for a in np.polynomial.hermite_e.hermegauss(NODES))
        log_weight, mean, sd = self.parameters(f)

        def one(z: jax.Array, share: jax.Array) -> jax.Array:
            y = jnp.moveaxis(mean + z * sd, -1, 0)[..., None]
            score = jax.vmap(lambda y: self._score(f, y))(y)
            return jnp.einsum("nm,mni,mnj->nij", share * jnp.exp(log_weight), score, score)

        nodes = jnp.asarray(node, f.dtype), jnp.asarray(share / share.sum(), f.dtype)
        return jnp.sum(jax.lax.map(lambda pair: one(*pair), nodes), axis=0)

    def sample(self, key: jax.Array, f: jax.Array) -> jax.Array:
        first, second = jax.random.split(key)
        log_weight, mean, sd = self.parameters(f)
        chosen = jax.random.categorical(first, log_weight)[:, None]
        mean, sd = (jnp.take_along_axis(part, chosen, axis=-1) for part in (mean, sd))
        return mean + sd * jax.random.normal(second, mean.shape, f.dtype)
