"""Priors that hold most weights at 0: a spike and a slab, and the horseshoe."""

import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from posterium._struct import static, struct
from posterium.model.hyper import value
from posterium.model.priors.base import LOG_2PI, ZERO, Independent, Layout
from posterium.numerics.exponential_integral import log_scaled_exp1

LOG_HORSESHOE = -0.5 * math.log(2 * math.pi**3)


@struct
class SpikeAndSlab(Independent):
    """Independent weights from a mixture of two Gaussians, a narrow and a wide one.

    p(w) = share N(w; 0, slab^2) + (1 - share) N(w; 0, spike^2), the scale mixture of Blundell et
    al. (2015). It has two curvatures: negative ones between spike and slab, which Laplace with
    structure ``"full"`` or ``"diagonal"`` takes as they are.

    Parameters
    ----------
    spike
        The sd of the narrow Gaussian: weights that hardly matter.
    slab
        The sd of the wide one. `learn(...)` marks either as free.
    share
        Prior probability that a weight is in the slab, between 0 and 1; fixed.
    scaling, layout
        As of `Normal`: both variances are divided by the number of inputs.
    """

    spike: Any = 0.05
    slab: Any = 1.0
    share: Any = 0.5
    scaling: str = static(default="fan_in")
    layout: Layout = static(default=())

    narrows: ClassVar[dict[str, str]] = {"spike": ZERO, "slab": ZERO}

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.share, int | float) and not 0 <= self.share <= 1:
            raise ValueError(f"share must be a probability, from 0 to 1; got {self.share}.")

    def log_density(self, w: jax.Array) -> jax.Array:
        share = jnp.asarray(self.share, w.dtype)
        inside = jnp.log(share) + _log_normal(w, value(self.slab))
        return jnp.logaddexp(inside, jnp.log1p(-share) + _log_normal(w, value(self.spike)))

    def draw(self, key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
        which, key = jax.random.split(key)
        inside = jax.random.bernoulli(which, self.share, shape)
        sd = jnp.where(inside, value(self.slab), value(self.spike)).astype(dtype)
        return sd * jax.random.normal(key, shape, dtype)


def _log_normal(w: jax.Array, sd: Any) -> jax.Array:
    return -0.5 * ((w / sd) ** 2 + LOG_2PI) - jnp.log(sd)


@struct
class Horseshoe(Independent):
    r"""Independent horseshoe weights: normal ones, each with a half-Cauchy sd of its own.

    w ~ N(0, scale^2 l^2) with l ~ HalfCauchy(1) (Carvalho, Polson and Scott 2010). With l summed
    out, :math:`p(w) = e^u E_1(u) / (\sqrt{2 \pi^3}\, scale)` at :math:`u = w^2 / (2 scale^2)`, and
    it is this density that methods see: no more coordinates than weights. It is infinite at 0, as
    slowly as log log(1 / w), and its tails fall like 1 / w^2. So a mode has weights at exactly 0,
    and a Gaussian at the mode refuses it. `VI` takes it by draws. `NUTS` and `HMC` are caught at
    the pole, and their verdict says so: there StudentTPrior(1.0) has tails as heavy.

    Parameters
    ----------
    scale
        How large the weights are over all; the fewer matter, the smaller. `learn(...)` marks it
        as free, as in ``learn(0.1, prior=HalfCauchy(1.0))``.
    scaling, layout
        As of `Normal`: the scale is divided by the root of the number of inputs.
    """

    scale: Any = 1.0
    scaling: str = static(default="fan_in")
    layout: Layout = static(default=())

    narrows: ClassVar[dict[str, str]] = {"scale": ZERO}
    smooth: ClassVar[bool] = False

    def log_density(self, w: jax.Array) -> jax.Array:
        scale = jnp.asarray(value(self.scale), w.dtype)
        # Constant within 1e-19 scales of the pole, which no probability notices.
        u = jnp.maximum(0.5 * (w / scale) ** 2, jnp.finfo(w.dtype).tiny)
        return LOG_HORSESHOE - jnp.log(scale) + log_scaled_exp1(u)

    def draw(self, key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
        local, key = jax.random.split(key)
        own = jax.random.cauchy(local, shape, dtype)
        return value(self.scale) * own * jax.random.normal(key, shape, dtype)
