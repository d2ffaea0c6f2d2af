"""Functions drawn from a posterior and kept: asked at any inputs, again and again.

What `predict` draws is forgotten with its answer. A decision that is taken step by step, such as
Thompson sampling, needs the function itself.
"""

import math
from typing import Any

import jax
import numpy as np

from posterium._struct import bare, static, struct
from posterium.model.data import as_inputs
from posterium.model.masks import RowMasks
from posterium.model.model import Model
from posterium.numerics import forks, trees
from posterium.posterior.fit import Fit
from posterium.posterior.functions import (
    LINEAR_DRAWS,
    Parameters,
    default_how,
    members,
    parameters,
    prepare,
    probabilities,
)
from posterium.posterior.posterior import DropoutPosterior, Mixture, Samples
from posterium.posterior.tiles import GROUP, tiled

MAX_BYTES = 2**30


@struct
class FunctionDraws:
    """Functions from a posterior, each one the same at every call.

    Called with inputs x (n, ...), it returns what each function predicts, (s, n, k): means of
    numeric targets, in their units, or class probabilities. `apply` is the same inside of JAX.

    Parameters
    ----------
    functions
        Weights and models of the functions, with a leading axis.
    how
        ``"draws"``, or those of the network linearised at the mean.
    precision
        What it computes in.
    """

    functions: Any
    how: str = static()
    precision: str = static()

    def __len__(self) -> int:
        """Return the number of functions."""
        return trees.leading_size(self.functions)

    def __getitem__(self, which: Any) -> "FunctionDraws":
        """Return some of the functions: by number, slice or array of numbers."""
        numbers = np.atleast_1d(np.arange(len(self))[which])
        return FunctionDraws(trees.index(self.functions, numbers), self.how, self.precision)

    def __repr__(self) -> str:
        return f"FunctionDraws({len(self)}, {self.precision})"

    def __call__(self, x: Any, *, max_bytes: int = MAX_BYTES) -> np.ndarray:
        """Return what each function predicts at inputs x (n, ...), (s, n, k).

        Rows go through in tiles of 256, functions in groups of 16; an answer of more than
        `max_bytes` is refused.
        """
        x = as_inputs(x)
        x = x.astype(self.precision) if np.issubdtype(x.dtype, np.floating) else x
        tiles, used = tiled(x)
        size = min(GROUP, len(self))
        with jax.enable_x64(self.precision == "float64"):
            needed = 8 * len(self) * len(x) * self._width(tiles[0])
            if needed > max_bytes:
                raise ValueError(
                    f"{len(self)} functions at {len(x):,} rows need {needed:,} bytes; max_bytes is "
                    f"{max_bytes:,}. Ask for fewer rows at a time, or raise max_bytes."
                )
            groups = []
            for start in range(0, len(self), size):
                group = self[np.minimum(np.arange(start, start + size), len(self) - 1)]
                parts = [_expected(group.functions, tile, how=self.how) for tile in tiles[:used]]
                groups.append(np.concatenate(parts, axis=1, dtype=np.float64)[:, : len(x)])
        return np.concatenate(groups)[: len(self)]

    def apply(self, x: jax.Array) -> jax.Array:
        """Return the same for a JAX array x (n, ...), inside of `jit` and `grad`."""
        return _means(self.functions, x, self.how)

    def _width(self, tile: np.ndarray) -> int:
        """Return the number of outputs, or classes."""
        try:
            return jax.eval_shape(_expected, self.functions, tile, how=self.how).shape[2]
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"x must have the columns that were fitted; the network does not take rows of "
                f"shape {tile.shape[1:]}: {str(error).splitlines()[0]}"
            ) from error


def draw_functions(
    key: jax.Array, fit: Fit, count: int = 1, *, max_bytes: int = MAX_BYTES
) -> FunctionDraws:
    """Return functions drawn from a posterior, to be called at any inputs again and again.

    For Thompson sampling, Bayesian optimisation and whatever else follows one function over many
    calls. A Gaussian posterior that is predicted linearised gives functions of the linearised
    network. Members of an ensemble, and draws of a sampler, are taken at random and none a second
    time before all others.

    Parameters
    ----------
    key
        Typed random key; another key gives other functions.
    fit
        What `fit` returned.
    count
        How many functions.
    max_bytes
        What the weights of all of them may take.

    Raises
    ------
    TypeError
        When `key` is not one typed key.
    ValueError
        When `count` is not a whole number above 0, the weights take more than `max_bytes`, or each
        row has masks of its own.

    Examples
    --------
    >>> import jax, numpy as np
    >>> from posterium import Exact, Gaussian, Linear, Model, Normal, as_data, draw_functions, fit
    >>> x = np.linspace(-1, 1, 9)[:, None]
    >>> model = Model(Linear(), Normal(1.0), Gaussian(0.1))
    >>> found = fit(jax.random.key(0), model, as_data(x, 2 * x), Exact())
    >>> f = draw_functions(jax.random.key(1), found, 3)
    >>> f(x).shape, bool((f(x[4:]) == f(x)[:, 4:]).all())
    ((3, 9, 1), True)
    """
    if not trees.is_key(key) or key.shape != ():
        raise TypeError(f"key must be one typed key, such as jax.random.key(0); got {key!r}.")
    if isinstance(count, bool) or int(count) != count or count < 1:
        raise ValueError(f"count must be a whole number of at least 1; got {count}.")
    if isinstance(fit.model.network, RowMasks):
        raise ValueError(
            "Expected draws that are functions; with MCDropout(masks='row') each row has masks of "
            "its own. Fit with masks='draw'."
        )
    forks.refuse()
    posterior, number = bare(fit.posterior), members(fit.posterior)
    _refuse_large(posterior, count, max_bytes)
    how = "draws" if default_how(posterior) == "draws" else LINEAR_DRAWS
    draw_key, choice_key = jax.random.split(key)
    choice = np.random.default_rng(np.asarray(jax.random.key_data(choice_key)))
    each = math.ceil(count / number)
    index, whole = _numbers(choice, posterior, each)
    places = np.concatenate([choice.permutation(number) * each + turn for turn in range(each)])
    with jax.enable_x64(fit.precision == "float64"):
        drawn = _prepared(posterior, fit.model, draw_key, index, count=whole, how=how)
        kept = _chosen(trees.to_numpy(drawn), places[:count], each)
    return FunctionDraws(kept, how, fit.precision)


def _refuse_large(posterior: Any, count: int, limit: int) -> None:
    """Refuse weights that would take too many bytes, before any of them is drawn."""
    while isinstance(posterior, Mixture):
        posterior, _ = posterior.member(0)
    needed = count * trees.nbytes(posterior.mode())
    if needed > limit:
        raise ValueError(
            f"The weights of {count} functions need {needed:,} bytes; max_bytes is {limit:,}. Draw "
            "fewer, or raise max_bytes."
        )


def _numbers(choice: np.random.Generator, posterior: Any, each: int) -> tuple[np.ndarray, int]:
    """Return which draws each member gives, and of how many: a sampler's at random."""
    depth = 0
    while isinstance(posterior, Mixture):
        posterior, depth = posterior.parts, depth + 1
    if not isinstance(posterior, Samples):
        return np.arange(each), each
    size = math.prod(np.shape(jax.tree.leaves(posterior.draws)[0])[depth : depth + 2])
    rounds = [choice.permutation(size) for _ in range(math.ceil(each / size))]
    return np.concatenate(rounds)[:each], size


def _chosen(drawn: tuple[Any, ...], places: np.ndarray, each: int) -> tuple[Any, ...]:
    """Return some of the functions that `prepare` gave, `each` of them a member."""
    if not isinstance(drawn[0], DropoutPosterior):
        return trees.index(drawn, places)
    member, turn = np.divmod(places, each)
    return *trees.index(drawn[:2], member), drawn[2][member, turn][:, None]


_prepared = jax.jit(prepare, static_argnames=("count", "how"))


def _means(functions: tuple[Any, ...], x: jax.Array, how: str) -> jax.Array:
    """Return what each function predicts, (s, n, k)."""
    return parameters(functions, x, how, _expected_targets)[0]


_expected = jax.jit(_means, static_argnames="how")


def _expected_targets(model: Model, f: jax.Array) -> Parameters:
    """Return the mean of the target given outputs f, (n, k), or the probabilities of classes."""
    if model.likelihood.task == "classification":
        return probabilities(model, f)
    return model.likelihood.moments(f)[:1]
