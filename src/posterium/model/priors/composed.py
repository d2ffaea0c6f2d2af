"""Priors made of priors: around given weights, and by part of the network."""

from fnmatch import fnmatchcase
from typing import Any

import jax
import jax.numpy as jnp

from posterium._struct import brief, replace, static, struct
from posterium.model.priors.base import Layout, laid_out, refuse_others, split, total
from posterium.model.priors.gaussian import GaussianPrior
from posterium.model.priors.recognise import as_prior, weights_of
from posterium.numerics import trees


@struct
class Centred:
    """A prior around given weights: those of a network trained before, say.

    The offset of the weights from the given ones has the density of another prior.

    Parameters
    ----------
    prior
        Density of the offset, such as ``Normal(100.0)``: its width says how far weights may go.
    at
        The weights in the middle: a tree of parameters, `Weights`, or a fit (its most probable
        ones). For a fit with a Gaussian posterior, the fit itself is a prior, with the width that
        it found.
    """

    prior: Any
    at: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "prior", as_prior(self.prior))
        object.__setattr__(self, "at", weights_of(self.at))

    def laid_out(self, layout: Layout) -> Any:
        """Return this prior with inputs counted where a network keeps them."""
        return replace(self, prior=laid_out(self.prior, layout))

    def _offset(self, params: Any) -> Any:
        refuse_others(self, self.at, params)
        return jax.tree.map(jnp.subtract, params, self.at)

    def terms(self, params: Any) -> Any:
        return self.prior.terms(self._offset(params))

    def log_prob(self, params: Any) -> jax.Array:
        return self.prior.log_prob(self._offset(params))

    def precision_of(self, params: Any) -> Any:
        return self.prior.precision_of(self._offset(params))

    def sample(self, key: jax.Array, like: Any) -> Any:
        return jax.tree.map(jnp.add, self.at, self.prior.sample(key, like))


@struct
class ByPath:
    """A prior for each part of a network.

    As in ``ByPath({"layers/2/*": Horseshoe(), "*": Normal()})``.

    Parameters
    ----------
    priors
        A prior by glob over paths; an array has that of the first glob it matches. Each prior sees
        its arrays as a dict by path.
    paths
        The globs, where `priors` is a tuple.
    """

    priors: Any
    paths: tuple[str, ...] = static(default=())

    def __post_init__(self) -> None:
        if isinstance(self.priors, dict):
            object.__setattr__(self, "paths", tuple(self.priors))
            object.__setattr__(self, "priors", tuple(map(as_prior, self.priors.values())))

    def __repr__(self) -> str:
        return f"ByPath({brief(dict(zip(self.paths, self.priors, strict=True)))})"

    def laid_out(self, layout: Layout) -> Any:
        """Return this prior with inputs counted where a network keeps them."""
        return replace(self, priors=tuple(laid_out(one, layout) for one in self.priors))

    def _parts(self, params: Any) -> list[tuple[Any, dict[str, Any]]]:
        """Return each prior with its arrays by path."""
        leaves = trees.flatten(params)
        chosen = {
            path: next((i for i, glob in enumerate(self.paths) if fnmatchcase(path, glob)), None)
            for path in leaves
        }
        idle = [glob for i, glob in enumerate(self.paths) if i not in chosen.values()]
        left = [path for path, i in chosen.items() if i is None]
        if idle or left:
            raise ValueError(
                "ByPath expects a prior for every array, and arrays for every prior; "
                f"{', '.join(left) or 'none'} of the arrays and {', '.join(idle) or 'none'} of the "
                f"globs are left over. The paths are: {', '.join(leaves)}."
            )
        return [
            (prior, {path: leaves[path] for path in leaves if chosen[path] == i})
            for i, prior in enumerate(self.priors)
        ]

    def _whole(self, params: Any, parts: list[dict[str, Any]]) -> Any:
        return trees.overlay(params, {path: leaf for part in parts for path, leaf in part.items()})

    def terms(self, params: Any) -> Any:
        parts = self._parts(params)
        return self._whole(params, [prior.terms(part) for prior, part in parts])

    def log_prob(self, params: Any) -> jax.Array:
        return total([prior.log_prob(part) for prior, part in self._parts(params)])

    def precision_of(self, params: Any) -> Any:
        parts = self._parts(params)
        return self._whole(params, [prior.precision_of(part) for prior, part in parts])

    def sample(self, key: jax.Array, like: Any) -> Any:
        parts = self._parts(like)
        keys = split(key, list(range(len(parts))))
        return self._whole(
            like, [prior.sample(k, part) for k, (prior, part) in zip(keys, parts, strict=True)]
        )

    def centre(self, params: Any) -> Any:
        """Return the weights that the parts are around."""
        return self._whole(params, [centre(prior, part) for prior, part in self._parts(params)])


def centre(prior: Any, params: Any) -> Any:
    """Return the weights that a prior is around, like `params`: 0 where nothing else is given."""
    if isinstance(prior, Centred):
        return jax.tree.map(jnp.add, prior.at, centre(prior.prior, params))
    if isinstance(prior, GaussianPrior):
        return prior.mean
    if isinstance(prior, ByPath):
        return prior.centre(params)
    return jax.tree.map(jnp.zeros_like, params)
