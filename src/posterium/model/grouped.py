r"""Grouped: one network a group, tied by a population.

The weights of group g are :math:`w_g = w + s\, z_g`: those of the population, and an offset of its
own. The prior of the model is over w and the z; s is a hyper-parameter. In these coordinates (not
those of the w_g themselves) the groups stay independent of s under the prior: a mode exists where
that of w_g and s runs off to s = 0, and samplers meet no funnel where rows are few
(Papaspiliopoulos, Roberts and Skold 2007).
"""

from typing import Any

import jax
import jax.numpy as jnp

from posterium._struct import replace, static, struct
from posterium.model.adapters.recognise import adapted
from posterium.model.hyper import learn
from posterium.model.priors.base import STACKED, Layout, spread
from posterium.model.priors.scales import HalfNormal
from posterium.model.weights import Weights
from posterium.numerics import trees

POPULATION, GROUPS = "population", "groups"


@struct
class Grouped:
    """One network a group, tied by a population: few rows of a group borrow from the others.

    Its parameters are those of the population, under ``population``, and the offsets z of the
    groups, under ``groups``, stacked along a leading axis. Under ``Normal()`` both are as the
    prior of one network, and the weights of a group are the population's plus `scale` z.

    Parameters
    ----------
    network
        What each group has; without running statistics.
    groups
        How many there are, numbered from 0. One without rows is predicted by what groups have in
        common and how far they lie apart: count one more for groups yet to come.
    scale
        The sd between groups, in prior sds of a weight: a number, or a tree that is a prefix of
        the network's parameters. By default learned, under ``HalfNormal(1.0)``: near 0 groups are
        one, and where it is large each is on its own.
    column
        Which column of x holds the number of the group; the network sees the others.

    Notes
    -----
    Every group's network is evaluated at every row, so that work grows with their number. A number
    that is no group gives outputs that are not finite.
    """

    network: Any
    groups: int = static()
    scale: Any = None
    column: int = static(default=-1)

    def __post_init__(self) -> None:
        object.__setattr__(self, "network", adapted(self.network))
        if self.scale is None:
            object.__setattr__(self, "scale", learn(0.3, prior=HalfNormal(1.0)))
        if self.groups < 1:
            raise ValueError(f"groups must be at least 1; got {self.groups}.")

    @property
    def layout(self) -> Layout:
        """Where weights have their inputs, for the fan-in scaling of a prior."""
        inner = getattr(self.network, "layout", ())
        of_groups = [(f"{GROUPS}/{glob}", STACKED + axes) for glob, axes in inner]
        return (
            *((f"{POPULATION}/{glob}", axes) for glob, axes in inner),
            *of_groups,
            (f"{GROUPS}/*", f"{STACKED}inputs first"),
        )

    def init(self, key: jax.Array, x: jax.Array) -> Weights:
        """Draw the population as the network does, with every group at it."""
        drawn = self.network.init(key, self._split(x)[1])
        zeros = trees.stack(jax.tree.map(jnp.zeros_like, drawn.params), self.groups)
        return replace(drawn, params={POPULATION: drawn.params, GROUPS: zeros})

    def apply(
        self, weights: Weights, x: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, Any]:
        number, inputs = self._split(x)
        each = self.of_groups(weights.params)

        def one(params: Any) -> jax.Array:
            return self.network.apply(replace(weights, params=params), inputs)[0]

        f = jax.vmap(one)(each)
        known = (number >= 0) & (number < self.groups) & (number == jnp.floor(number))
        index = jnp.where(known, number, 0).astype(jnp.int32)
        own = jnp.take_along_axis(f, index[None, :, None], axis=0)[0]
        return jnp.where(known[:, None], own, jnp.nan), weights.state

    def of_groups(self, params: Any) -> Any:
        """Return the weights of each group's network, with a leading axis (g, ...)."""
        scale = spread(self.scale, params[POPULATION])

        def one(w: jax.Array, z: jax.Array, s: jax.Array) -> jax.Array:
            return w[None] + s[None] * z

        return jax.tree.map(one, params[POPULATION], params[GROUPS], scale)

    def _split(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return the number of each row's group (n,), and the other columns."""
        return x[:, self.column], jnp.delete(x, self.column, axis=1)
