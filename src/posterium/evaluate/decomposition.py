r"""What of a prediction's uncertainty is noise, and what the posterior does not know.

.. math:: \mathrm{Var}[y] = E_w \mathrm{Var}[y \mid w] + \mathrm{Var}_w E[y \mid w], \qquad
   H[y] = E_w H[y \mid w] + I[y; w]

for numbers and for classes (depeweg2018). Each part is an average over draws of the weights, so it
has a Monte Carlo error: that of the average of its influence function over draws. Epistemic and
total parts are also too small on average, since their centre is taken from the same draws; by how
much is estimated to second order.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import entr, kl_div

from posterium.evaluate.averages import standard_error, worth
from posterium.numerics.mixtures import log_mean_exp
from posterium.posterior.components.base import Components, over_draws
from posterium.posterior.components.classes import ClassComponents
from posterium.posterior.components.gaussian import GaussianComponents
from posterium.posterior.predictive import ClassPredictive, Key, Predictive, generator_from
from posterium.posterior.sampling import Sampling

MEASURES = ("variance", "entropy")
LOG_2PIE = float(np.log(2 * np.pi * np.e))
SAMPLES = 2000
"""Targets drawn for each row to take entropies of numbers."""
WORK = 2**20
"""Targets, of all rows, that are held at a time."""


@dataclass(frozen=True)
class Part:
    """One part of the uncertainty, row by row.

    Parameters
    ----------
    value
        The part as averaged over the draws.
    error
        Its Monte Carlo standard error: how far it would move if draws, or members, were taken
        anew. 0 in closed form; NaN where it cannot be told.
    bias
        By how much `value` is expected to be off for having few draws: not above 0.
    """

    value: np.ndarray
    error: np.ndarray
    bias: np.ndarray

    @property
    def corrected(self) -> np.ndarray:
        """`value` less its bias."""
        return self.value - self.bias


@dataclass(frozen=True, repr=False)
class Decomposition:
    """The uncertainty of each row in two parts that add up.

    Parameters
    ----------
    measure
        ``"variance"`` or ``"entropy"``.
    unit
        Unit of all parts.
    total
        The whole uncertainty.
    aleatoric
        What every function drawn leaves open: noise, or overlap of classes. More data leave it.
    epistemic
        How far the functions drawn differ, which more data reduce. Of entropies it is the mutual
        information of target and function.
    draws
        How many draws it is an average over.
    sampling
        How these came about.
    """

    measure: str
    unit: str
    total: Part
    aleatoric: Part
    epistemic: Part
    draws: int
    sampling: Sampling

    @property
    def share(self) -> np.ndarray:
        """Epistemic share of the total, 0 where there is none.

        Entropies of numbers may be negative, so a share of theirs has no meaning.
        """
        whole = self.total.value
        return np.divide(self.epistemic.value, whole, out=np.zeros_like(whole), where=whole != 0)

    @property
    def warning(self) -> str:
        """What cannot be taken at its word and what to do, or nothing."""
        endless = int((~np.isfinite(self.total.value)).sum())
        if endless:
            return (
                f"At {endless} of {self.total.value.size} places the variance is not finite: the "
                "tails of the noise are too heavy (Student-t with df of at most 2). Use "
                "decompose(predictive, 'entropy', key=0)."
            )
        if np.isnan(self.epistemic.error).any():
            return "One draw, or one short chain, does not tell its error. Take more draws."
        return ""

    def __repr__(self) -> str:
        parts = ("total", "aleatoric", "epistemic")
        told = (
            f"{name} {np.median(part.value):.3g} +- {np.median(part.error):.1g}"
            for name, part in ((name, getattr(self, name)) for name in parts)
        )
        text = f"{self.measure} ({self.unit}) of {len(self.total.value):,} rows, {self.draws} draws"
        return f"{text} ({self.sampling}); medians: {', '.join(told)}. {self.warning}".strip()


def decompose(
    predictive: Any,
    measure: str | None = None,
    *,
    per_class: bool = False,
    key: Key | None = None,
    samples: int = SAMPLES,
) -> Decomposition:
    """Return what of each row's uncertainty is aleatoric and what epistemic, with errors.

    It takes whatever `predict` returns, under every likelihood and method. Parts in closed form
    have error 0. Where draws are chains their correlation counts, and an ensemble's error is that
    of having so few members: with five of them an epistemic part is known to within a half.

    Parameters
    ----------
    predictive
        What `predict` returned for n rows and k outputs or c classes.
    measure
        ``"variance"``: by the law of total variance, of numbers (n, k) in target units squared, or
        of the indicator of every class, (n, c), where total is p (1 - p). ``"entropy"``: in nats,
        of classes (n,), or of each number, (n, k). None: variance of numbers, entropy of classes.
    per_class
        Give what each class adds to the entropies, (n, c): all are at least 0 and sum to the whole.
    key
        Seed, JAX key, or NumPy generator; entropies of numbers are taken from draws of targets,
        unless in closed form.
    samples
        Targets drawn for each row, shared by the draws.

    Raises
    ------
    TypeError
        When it is no predictive of `predict`.
    ValueError
        When the measure is unknown, `per_class` is asked of numbers, a key is needed, there are no
        samples, or the predictive only has averages, as of ``how="probit"``.

    Notes
    -----
    Differential entropies depend on the target's unit and may be below 0; their difference, the
    mutual information, does not, and exists where a variance does not. The parts say what the model
    takes for noise: a missing input, or a network that is too stiff, is noise to it.

    Examples
    --------
    >>> from posterium.posterior.predictive import RegressionPredictive
    >>> two = GaussianComponents(np.array([-1.0, 1.0]).reshape(2, 1, 1), 3.0)
    >>> found = decompose(RegressionPredictive(lambda: [two], (1, 1), squeeze=True))
    >>> found.epistemic.value, found.epistemic.bias
    (array([1.]), array([-1.]))
    """
    if not isinstance(predictive, Predictive):
        raise TypeError(
            f"Expected what predict returned; got {type(predictive).__name__}. Of a recalibrated "
            "predictive, split the one before."
        )
    classes = isinstance(predictive, ClassPredictive)
    measure = measure or ("entropy" if classes else "variance")
    if measure not in MEASURES:
        raise ValueError(f"measure must be {' or '.join(map(repr, MEASURES))}; got {measure!r}.")
    if samples < 1:
        raise ValueError(f"samples must be at least 1; got {samples}.")
    if per_class and not (classes and measure == "entropy"):
        raise ValueError(
            "per_class=True is for entropies of classes; their variance is by class as it is, and "
            "numbers have no classes. Leave it out."
        )
    sampling, pieces = predictive.sampling, predictive.pieces()
    each: Iterator[Influences]
    if measure == "variance":
        split: Any = _class_variance if classes else _number_variance
        each = (split(piece, sampling) for piece in pieces)
    elif classes:
        each = (_class_entropy(piece, sampling, per_class) for piece in pieces)
    else:
        each = _number_entropies(pieces, sampling, key, samples)
    return _joined(predictive, measure, list(each))


@dataclass(frozen=True)
class Influences:
    """What each draw contributes to the parts at some rows.

    Parameters
    ----------
    aleatoric, epistemic
        (s, n, ...): their averages over draws are the parts.
    bias
        Of the epistemic part, (n, ...).
    sampling
        How what is averaged came about.
    draws
        How many functions there are. It is averaged over targets where there is but one.
    """

    aleatoric: np.ndarray
    epistemic: np.ndarray
    bias: np.ndarray
    sampling: Sampling
    draws: int

    def parts(self) -> np.ndarray:
        """Return value, error and bias of the total, aleatoric and epistemic part, (3, 3, ...)."""
        with np.errstate(invalid="ignore"):
            each = (self.aleatoric + self.epistemic, self.aleatoric, self.epistemic)
            values = [over_draws(part) for part in each]
            errors = [standard_error(part, self.sampling) for part in each]
        biases = (self.bias, np.zeros_like(self.bias), self.bias)
        return np.stack([np.stack(part) for part in zip(values, errors, biases, strict=True)])


def _joined(predictive: Any, measure: str, each: list[Influences]) -> Decomposition:
    """Join what was found for some rows at a time."""
    classes = isinstance(predictive, ClassPredictive)
    whole = np.concatenate([influences.parts() for influences in each], axis=2)
    if not classes and predictive.squeeze:
        whole = whole[..., 0]
    of_numbers = "nats" if measure == "entropy" else "target units squared"
    return Decomposition(
        measure,
        "none" if classes and measure == "variance" else of_numbers,
        *(Part(*part) for part in whole),
        draws=each[0].draws,
        sampling=predictive.sampling,
    )


def _number_variance(piece: Components, sampling: Sampling) -> Influences:
    """Return the noise variance of every draw, and its mean's squared distance from that of all."""
    mean = piece.mean
    with np.errstate(invalid="ignore"):
        apart = (mean - over_draws(mean)) ** 2 + np.asarray(piece.function_variance)
        bias = -(standard_error(mean, sampling) ** 2)
    return Influences(np.asarray(piece.variance), apart, bias, sampling, len(mean))


def _class_variance(piece: ClassComponents, sampling: Sampling) -> Influences:
    """Return p (1 - p) of every draw, and the squared distance of p from that of all."""
    probs, spread = piece.each(), piece.known_spread()
    within = probs * (1 - probs) / (1 + spread)
    apart = (probs - over_draws(probs)) ** 2 + spread * within
    bias = -(standard_error(probs, sampling) ** 2)
    return Influences(within, apart, bias, sampling, len(probs))


def _class_entropy(piece: ClassComponents, sampling: Sampling, per_class: bool) -> Influences:
    """Return the entropy of every draw, and its divergence from the average of all."""
    probs, each = piece.each(), piece.each_entropy()
    centre = over_draws(probs)
    apart = kl_div(probs, centre) + entr(probs) - each
    square = standard_error(probs, sampling) ** 2
    bias = -np.divide(square, 2 * centre, out=np.zeros_like(square), where=centre > 0)
    if not per_class:
        each, apart, bias = (part.sum(axis=-1) for part in (each, apart, bias))
    return Influences(each, apart, bias, sampling, len(probs))


def _number_entropies(
    pieces: Iterator[Any], sampling: Sampling, key: Key | None, samples: int
) -> Iterator[Influences]:
    """Give what each draw contributes to the entropies of numbers, some rows at a time."""
    generator = None if key is None else generator_from(key)
    for piece in pieces:
        draws, rows, outputs = piece.shape
        if isinstance(piece, GaussianComponents) and draws == 1:
            noise, function = _gaussian_entropies(piece)
            yield Influences(noise, function, np.zeros((rows, outputs)), sampling, 1)
            continue
        if generator is None:
            raise ValueError(
                "Expected a key for the entropies of numbers, which are taken from draws of "
                "targets; got None. Pass key=0."
            )
        step = max(1, WORK // (max(samples, draws) * outputs))
        for start in range(0, max(rows, 1), step):
            part = piece.rows(start, min(start + step, rows))
            yield _sampled_entropy(part, sampling, generator, samples)


def _gaussian_entropies(piece: GaussianComponents) -> tuple[np.ndarray, np.ndarray]:
    """Return the entropy of each Gaussian's noise, and what its function's variance adds."""
    noise = 0.5 * (LOG_2PIE + np.log(piece.variance))
    return noise, 0.5 * np.log1p(np.asarray(piece.function_variance) / piece.variance)


def _sampled_entropy(
    piece: Components, sampling: Sampling, generator: np.random.Generator, samples: int
) -> Influences:
    """Return the entropy of every draw, and its divergence from the mixture of all, by targets.

    Of a single known function, targets drawn are what the average is over.
    """
    own, of_unit, of_all = _log_densities(piece, sampling, generator, samples)
    if sampling.exact and sampling.members == 1:
        flat = -own[:, 0]
        return Influences(flat, np.zeros_like(flat), np.zeros(flat.shape[1:]), Sampling(), 1)
    noise, apart = -own.mean(axis=0), (own - of_all).mean(axis=0)
    if isinstance(piece, GaussianComponents):
        noise, function = _gaussian_entropies(piece)
        apart = apart + function
    excess = np.exp(of_unit - of_all).mean(axis=(0, 1)) - 1
    bias = -excess / (2 * worth(apart, sampling))
    return Influences(noise, apart, bias, sampling, len(apart))


def _log_densities(
    piece: Components, sampling: Sampling, generator: np.random.Generator, samples: int
) -> np.ndarray:
    """Draw targets from every draw in turn, and return their log densities, (3, t, s, n, k).

    Under that draw, under all draws of its unit (itself, or its member) and under all draws.
    """
    draws, rows, outputs = piece.shape
    index = np.tile(np.arange(draws), -(-samples // draws))
    targets = piece.sample(generator, index)
    unit = draws // sampling.members if sampling.members > 1 else 1
    found = np.empty((3, len(index), rows, outputs))
    for number, draw in enumerate(index):
        each = np.moveaxis(piece.log_density(targets[None, :, number]), 0, -1)
        start = draw // unit * unit
        found[:, number] = (
            each[..., draw],
            log_mean_exp(each[..., start : start + unit]),
            log_mean_exp(each),
        )
    return found.reshape(3, -1, draws, rows, outputs)
