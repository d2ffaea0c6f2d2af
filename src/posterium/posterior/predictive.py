"""Predictives: the mixture over draws of a likelihood's predictive distribution, row by row.

The draws of all rows together may be far more than memory holds, so a predictive pulls components
block by block, reduces each and forgets it; blocks that fit the cache are kept between questions.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any, ClassVar, Generic, TypeVar

import jax
import numpy as np
from scipy.special import entr

from posterium.posterior.components.base import Components
from posterium.posterior.components.classes import ClassComponents, refuse_sums
from posterium.posterior.components.gaussian import refuse_unsound
from posterium.posterior.sampling import Sampling

CACHE_BYTES = 2**28
MAX_BYTES = 2**30
WORK_BYTES = 2**21
INDEPENDENT = Sampling()

Averages = Callable[[], tuple[np.ndarray, ...]]
C = TypeVar("C", Components, ClassComponents)
Key = int | np.random.Generator | jax.Array


def generator_from(key: Key) -> np.random.Generator:
    """Return a NumPy generator from a seed, a JAX key, or the generator given."""
    if isinstance(key, int | np.integer | np.random.Generator):
        return np.random.default_rng(key)
    return np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel())


class Predictive(Generic[C]):
    """What both predictives share: blocks of components, pulled once or again, and raw draws.

    Parameters
    ----------
    blocks
        Called without arguments for each pass: gives the components of consecutive blocks of
        rows, each time the same. Their size does not change a bit of any answer.
    shape
        Rows and outputs (n, k), or rows and classes (n, c).
    averages
        Called without arguments: gives what is averaged over draws, for all rows, by a way that
        keeps no draw. None takes it from the components.
    cache_bytes
        Blocks are kept after the first pass when they take at most so many bytes; otherwise each
        question computes them again. 0 keeps none.
    sampling
        How the draws came about. By default they are independent.
    """

    _across: ClassVar[str]
    """What the columns of its arrays are."""

    def __init__(
        self,
        blocks: Callable[[], Iterable[C]],
        shape: tuple[int, int],
        *,
        averages: Averages | None = None,
        cache_bytes: int = CACHE_BYTES,
        sampling: Sampling = INDEPENDENT,
    ) -> None:
        self._blocks = blocks
        self._averages = averages
        self._cache_bytes = cache_bytes
        self._kept: list[C] | None = None
        self.shape = shape
        self.sampling = sampling

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.shape[0]

    def __repr__(self) -> str:
        rows, width = self.shape
        return f"{type(self).__name__}(rows={rows:,}, {self._across}={width})"

    def components(self) -> Iterator[C]:
        """Give the components of each block of rows, from the cache when they are in it."""
        if self._kept is not None:
            yield from self._kept
            return
        kept: list[C] | None = []
        held = rows = 0
        for block in self._blocks():
            held, rows = held + block.nbytes, rows + block.shape[1]
            if held > self._cache_bytes:
                kept = None
            if kept is not None:
                kept.append(block)
            yield block
        if rows != self.shape[0]:
            raise ValueError(f"Expected blocks of {self.shape[0]} rows together; got {rows}.")
        self._kept = kept

    def pieces(self) -> Iterator[C]:
        """Give the components of few rows at a time, so that a question's working arrays are small.

        They are parts of the blocks, all of the rows in their order.
        """
        for block in self.components():
            draws, rows, width = block.shape
            step = max(1, WORK_BYTES // (8 * draws * width))
            for start in range(0, max(rows, 1), step):
                yield block.rows(start, min(start + step, rows))

    def _reduce(self, ask: Callable[..., np.ndarray], *by_row: np.ndarray, axis: int = 0) -> Any:
        """Ask for some rows at a time, with their part of the arrays given; join the answers."""
        parts, done = [], 0
        for piece in self.pieces():
            stop = done + piece.shape[1]
            parts.append(ask(piece, *(array[done:stop] for array in by_row)))
            done = stop
        return np.concatenate(parts, axis)

    def _sample(self, key: Key, draws: int, event: tuple[int, ...], max_bytes: int) -> np.ndarray:
        """Draw (draws, n, *event); random numbers are taken row after row, whatever the blocks.

        Components are chosen by stratified levels: each as often as any other, to within one.
        """
        needed = 8 * draws
        for size in (self.shape[0], *event):
            needed *= size
        if needed > max_bytes:
            raise ValueError(
                f"Expected raw draws of at most max_bytes={max_bytes} bytes; {draws} draws of "
                f"{self.shape[0]} rows need {needed} bytes. Ask for fewer draws or rows, or raise "
                f"the limit: sample(key, {draws}, max_bytes={needed})."
            )
        generator = generator_from(key)
        level = (generator.permutation(draws) + generator.random(draws)) / draws

        def ask(block: C) -> np.ndarray:
            index = (level * block.shape[0]).astype(np.intp)
            return block.sample(generator, np.minimum(index, block.shape[0] - 1))

        return np.moveaxis(self._reduce(ask), 1, 0)


class RegressionPredictive(Predictive[Components]):
    """The predictive distribution of numeric targets, in the units of the target.

    Every array has shape (n, k), or (n,) with `squeeze`. Quantiles, distribution function and CRPS
    are those of each output alone; `log_prob` is joint over the outputs of a row. Of counts all of
    it is as for numbers, with probabilities in the place of densities. Of times that may be cut off
    `columns` is 2: `log_prob` takes times and events, everything else is of the time. `levels` are
    those of quantiles that were fitted, if any were.

    Examples
    --------
    >>> from posterium.posterior.components.gaussian import GaussianComponents
    >>> two_draws = GaussianComponents(np.array([-1.0, 1.0]).reshape(2, 1, 1), 3.0)
    >>> predictive = RegressionPredictive(lambda: [two_draws], (1, 1), squeeze=True)
    >>> predictive.sd, predictive.epistemic_var
    (array([2.]), array([1.]))
    """

    _across = "outputs"

    def __init__(
        self,
        blocks: Callable[[], Iterable[Components]],
        shape: tuple[int, int],
        *,
        averages: Averages | None = None,
        squeeze: bool = False,
        columns: int = 1,
        levels: tuple[float, ...] = (),
        cache_bytes: int = CACHE_BYTES,
        sampling: Sampling = INDEPENDENT,
    ) -> None:
        if squeeze and shape[1] != 1:
            raise ValueError(f"Expected one output to squeeze; got {shape[1]}. Use squeeze=False.")
        super().__init__(
            blocks, shape, averages=averages, cache_bytes=cache_bytes, sampling=sampling
        )
        self.squeeze, self.columns, self.levels = squeeze, columns, levels

    @cached_property
    def _moments(self) -> tuple[np.ndarray, ...]:
        """Mean, aleatoric variance and epistemic variance, (n, k) each."""
        if self._averages is None:
            return tuple(self._reduce(lambda block: np.stack(block.moments()), axis=1))
        found = self._averages()
        refuse_unsound(found[0][None], (found[1] + found[2])[None])
        return found

    @property
    def mean(self) -> np.ndarray:
        """Mean of the target, in its units."""
        return self._shaped(self._moments[0])

    @property
    def aleatoric_var(self) -> np.ndarray:
        """Variance of the observation noise, averaged over draws, in target units squared."""
        return self._shaped(self._moments[1])

    @property
    def epistemic_var(self) -> np.ndarray:
        """Variance of the mean under the posterior, in target units squared."""
        return self._shaped(self._moments[2])

    @property
    def sd(self) -> np.ndarray:
        """Standard deviation of the target, observation noise included."""
        return np.sqrt(self.aleatoric_var + self.epistemic_var)

    @property
    def aleatoric_sd(self) -> np.ndarray:
        """Square root of `aleatoric_var`."""
        return np.sqrt(self.aleatoric_var)

    @property
    def epistemic_sd(self) -> np.ndarray:
        """Square root of `epistemic_var`."""
        return np.sqrt(self.epistemic_var)

    def quantile(self, q: float | np.ndarray) -> np.ndarray:
        """Return the q-quantiles of the mixture, to 1e-12; an array of m levels leads with axis m.

        Raises
        ------
        ValueError
            Where a level is not inside (0, 1).
        """
        levels = np.asarray(q, np.float64)
        if levels.ndim > 1 or not ((levels > 0) & (levels < 1)).all():
            raise ValueError(f"Expected a level, or a row of levels, inside (0, 1); got {q}.")
        each = self._reduce(
            lambda block: np.stack([block.quantile(float(level)) for level in levels.ravel()]),
            axis=1,
        )
        return self._shaped(each if levels.ndim else each[0])

    def interval(self, level: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
        """Return the lower and upper ends of the central interval of this probability."""
        if not 0 < level < 1:
            raise ValueError(f"Expected the level of an interval inside (0, 1); got {level}.")
        lower, upper = self.quantile(np.array([0.5 - 0.5 * level, 0.5 + 0.5 * level]))
        return lower, upper

    def log_prob(self, y: np.ndarray) -> np.ndarray:
        """Return the log density of each row's targets, (n,), in nats, joint over outputs.

        Of times y is (n, 2), the time and the event: the log density where that is 1, the log
        probability of a longer time where it is 0.
        """
        if self.columns == 1:
            y = self._targets(y)
        elif np.shape(y) != (len(self), self.columns):
            raise ValueError(
                f"Expected {self.columns} columns, times and events (1 seen, 0 cut off), of shape "
                f"{(len(self), self.columns)}; got {np.shape(y)}."
            )
        return self._reduce(lambda block, part: block.log_prob(part), np.asarray(y, np.float64))

    def cdf(self, y: np.ndarray) -> np.ndarray:
        """Return P(Y <= y)."""
        return self._shaped(self._reduce(lambda block, part: block.cdf(part), self._targets(y)))

    def survival(self, y: np.ndarray) -> np.ndarray:
        """Return P(Y > y), with its digits where it is small."""
        return self._shaped(
            self._reduce(lambda block, part: block.survival(part), self._targets(y))
        )

    def pit(self, y: np.ndarray) -> np.ndarray:
        """Return P(Y < y) + P(Y = y) / 2: uniform over rows when the predictive is calibrated.

        Of counts only nearly so. Of numbers it is `cdf`.
        """
        return self._shaped(self._reduce(lambda block, part: block.pit(part), self._targets(y)))

    def crps(self, y: np.ndarray) -> np.ndarray:
        """Return the continuous ranked probability score, in target units; lower is better."""
        return self._shaped(self._reduce(lambda block, part: block.crps(part), self._targets(y)))

    def sample(self, key: Key, draws: int, *, max_bytes: int = MAX_BYTES) -> np.ndarray:
        """Draw targets, (draws, n, k) or (draws, n).

        A draw takes one component for all rows, so draws of the posterior stay whole functions;
        what a closed form knows of the function only by `function_variance` is drawn row by row.

        Parameters
        ----------
        key
            Seed, JAX key, or NumPy generator.
        draws
            How many.
        max_bytes
            Raw draws beyond it are refused before anything is allocated.
        """
        return self._shaped(self._sample(key, draws, self.shape[1:], max_bytes))

    def squeezed(self) -> "RegressionPredictive":
        """Return the same predictive of one output, with arrays of shape (n,)."""
        return RegressionPredictive(
            self.components, self.shape, averages=lambda: self._moments, squeeze=True,
            columns=self.columns, levels=self.levels, cache_bytes=self._cache_bytes,
            sampling=self.sampling,
        )  # fmt: skip

    def affine(
        self, shift: np.ndarray | float, scale: np.ndarray | float
    ) -> "RegressionPredictive":
        """Return the predictive of shift + scale * y, with numbers or one of each an output.

        It takes a standardised target back to its units. It reads the blocks, and the cache, of
        this one.
        """
        shift, scale = np.asarray(shift, np.float64), np.asarray(scale, np.float64)
        for value in (shift, scale):
            if value.shape not in ((), self.shape[1:]) or not np.isfinite(value).all():
                raise ValueError(
                    "Expected shift and scale as finite numbers, or one of each an output "
                    f"{self.shape[1:]}; got {shift} and {scale}."
                )
        if (scale == 0).any():
            raise ValueError(f"Expected a scale other than 0; got {scale}.")

        def moments() -> tuple[np.ndarray, ...]:
            mean, aleatoric, epistemic = self._moments
            return shift + scale * mean, scale**2 * aleatoric, scale**2 * epistemic

        return RegressionPredictive(
            lambda: (block.affine(shift, scale) for block in self.components()),
            self.shape,
            averages=moments,
            squeeze=self.squeeze,
            columns=self.columns,
            levels=self.levels,
            cache_bytes=0,
            sampling=self.sampling,
        )

    def _shaped(self, values: np.ndarray) -> np.ndarray:
        return values[..., 0] if self.squeeze else values

    def _targets(self, y: np.ndarray) -> np.ndarray:
        y = np.asarray(y, np.float64)
        one_output = self.shape[1] == 1 and y.shape == self.shape[:1]
        if y.shape != self.shape and not one_output:
            raise ValueError(f"Expected targets of shape {self.shape}; got {y.shape}.")
        return y.reshape(self.shape)


class ClassPredictive(Predictive[ClassComponents]):
    """The predictive distribution of class indices 0 to c - 1; entropies are in nats.

    `ordered` says that the order of the classes has a meaning.
    """

    _across = "classes"

    def __init__(
        self,
        blocks: Callable[[], Iterable[ClassComponents]],
        shape: tuple[int, int],
        *,
        averages: Averages | None = None,
        ordered: bool = False,
        cache_bytes: int = CACHE_BYTES,
        sampling: Sampling = INDEPENDENT,
    ) -> None:
        super().__init__(
            blocks, shape, averages=averages, cache_bytes=cache_bytes, sampling=sampling
        )
        self.ordered = ordered

    @cached_property
    def probs(self) -> np.ndarray:
        """Class probabilities averaged over draws, (n, c)."""
        if self._averages is None:
            return self._reduce(lambda block: block.probs())
        (probs,) = self._averages()
        total = probs.sum(axis=1, keepdims=True)
        refuse_sums(total.T)
        return probs / total

    @property
    def label(self) -> np.ndarray:
        """Index of the most probable class, (n,); the lowest of equals."""
        return self.probs.argmax(axis=1)

    @property
    def entropy(self) -> np.ndarray:
        """Entropy of `probs`, (n,): the whole uncertainty."""
        return entr(self.probs).sum(axis=1)

    @cached_property
    def _entropies(self) -> np.ndarray:
        """Entropy of the averaged probabilities and averaged entropy of a draw's, (2, n)."""

        def ask(block: ClassComponents) -> np.ndarray:
            return np.stack([entr(block.probs()).sum(axis=1), block.expected_entropy()])

        return self._reduce(ask, axis=1)

    @property
    def aleatoric_entropy(self) -> np.ndarray:
        """Entropy of a draw averaged over draws, (n,): the part that more data leave."""
        return self._entropies[1]

    @property
    def mutual_information(self) -> np.ndarray:
        """Entropy less its aleatoric part, (n,): the epistemic part; rounding below 0 is cut."""
        whole, aleatoric = self._entropies
        return np.maximum(whole - aleatoric, 0.0)

    def log_prob(self, y: np.ndarray) -> np.ndarray:
        """Return the log probability of each row's class index, (n,), in nats."""
        y, (n, classes) = np.asarray(y), self.shape
        if y.shape != (n,) or not np.issubdtype(y.dtype, np.integer):
            raise ValueError(f"Expected {n} integer class indices; got {y.dtype} {y.shape}.")
        if n and not (0 <= y.min() and y.max() < classes):
            raise ValueError(
                f"Expected class indices 0 to {classes - 1}; got {y.min()} to {y.max()}."
            )
        return self._reduce(lambda block, part: block.log_prob(part), y)

    def sample(self, key: Key, draws: int, *, max_bytes: int = MAX_BYTES) -> np.ndarray:
        """Draw class indices, (draws, n), one component for all rows of a draw.

        Raw draws beyond `max_bytes` are refused before anything is allocated.
        """
        return self._sample(key, draws, (), max_bytes)
