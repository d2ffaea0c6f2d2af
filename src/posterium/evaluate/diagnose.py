"""Diagnostics in function space: whether chains, or members, say the same of predictions."""

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from posterium.evaluate import draws as by_draw
from posterium.evaluate import mixing
from posterium.evaluate.convergence import PROBES, probe_rows
from posterium.model.data import Data, as_inputs
from posterium.posterior.fit import Fit
from posterium.posterior.posterior import Mixture, Point, Samples

LEAST_DRAWS = 4
LINE = 96
"""Characters of a line in print."""
SHOWN = 10
"""Rows of a table that are printed."""
COMPARED = (
    "R-hat compares the chains: over 1.01 they do not agree yet. ESS counts independent draws; "
    "fewer than 400 give no sound mean, quantile or R-hat."
)
DISAGREE = (
    "Disagreement is R-hat between members, 1 where all found the same. Members in different modes "
    "disagree, and a mixture is there to hold them: that is no failure. Members that agree may "
    "still be wrong together."
)
SPREAD = (
    "Each is one set of weights, so there is no spread within a member to hold theirs against. "
    "Their sd is all this ensemble says of what it does not know: spread is no failure, and sd 0 "
    "where there are no data is no knowledge."
)
NOTHING = (
    "There is nothing to compare: {what}. Fit Ensemble(..., 4) of the method to see what other "
    "starts find, or StartFrom(NUTS(), fit) to see whether a sampler stays."
)
NO_VERDICT = (
    "Weights, no verdict: hidden units can change places without any change of the function, so "
    "chains may disagree here and agree on everything that matters."
)


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """How far chains, or members of a mixture, agree: a table that prints, worst rows first.

    Parameters
    ----------
    reading
        What is compared, and what the numbers mean.
    names
        What each row is: a prediction at a probe, a hyper-parameter, a log density.
    table
        Columns by name, one number a row: ``mean`` and ``sd`` in the row's own unit; where there is
        something to compare also ``mcse`` (Monte Carlo error of the mean), ``rhat`` of chains or
        ``disagreement`` of members, ``ess_bulk`` and ``ess_tail``, and ``nested_rhat`` where
        several chains began at each of several points. NaN for constants.
    sampler
        Of a sampler: ``divergences``, and as far as it records them ``reached_max_depth`` (share of
        trajectories), ``bfmi`` (lowest of the chains), ``acceptance_rate`` and ``n_steps`` (means).
    weights
        The same of the weights, where asked for. It is no verdict.
    """

    reading: str
    names: tuple[str, ...] = ()
    table: dict[str, np.ndarray] = field(default_factory=dict)
    sampler: dict[str, float] = field(default_factory=dict)
    weights: "Diagnosis | None" = None

    def __repr__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield from textwrap.wrap(self.reading, LINE)
        if self.names:
            wide = max(map(len, self.names[:SHOWN]))
            yield " " * wide + "".join(f"{name:>{_width(name)}}" for name in self.table)
            for row, name in enumerate(self.names[:SHOWN]):
                cells = (_cell(column, self.table[column][row]) for column in self.table)
                yield f"{name:<{wide}}" + "".join(cells)
        if len(self.names) > SHOWN:
            yield f"and {len(self.names) - SHOWN:,} more"
        if self.sampler:
            yield ", ".join(f"{name} {value:.4g}" for name, value in self.sampler.items())
        if self.weights:
            yield from self.weights._lines()


def diagnose(
    key: jax.Array, fit: Fit, data: Any = None, *, draws: int = 100, weights: bool = False
) -> Diagnosis:
    """Return how far chains, or members, of a fit agree on predictions and log density.

    For samplers: mean, sd, Monte Carlo error, R-hat, bulk and tail effective sample size of every
    prediction at up to 32 probes. Members of a mixture are compared in the same way, by draws of
    each, and what stands there is called disagreement: it is a description, not a failure.

    Parameters
    ----------
    key
        Typed random key for draws of a posterior that has no draws of its own.
    fit
        What `fit` returned.
    data
        `Data`, for probes among its rows and the log likelihood of all rows; or inputs (q, ...), of
        which up to 32 are probes. None makes inputs up within the ranges that the fit saw.
    draws
        Draws of each member of a mixture; those of a sampler are all taken.
    weights
        Add a table of the weights themselves, for a sampler. It is no verdict.

    Raises
    ------
    ValueError
        Where inputs do not suit the network, there are fewer than 4 draws to a chain or member,
        `weights` are asked of what has no draws, or `data` is None and the fit does not know what
        it saw.

    Notes
    -----
    Statistics of vehtari2021, on values of the function: those of weights say little, since hidden
    units can change places.
    """
    inner = by_draw.innermost(fit.posterior)
    if weights and not isinstance(inner, Samples):
        raise ValueError(
            f"weights=True expects draws of a sampler; {fit.method} gives {type(inner).__name__}. "
            "Leave it out."
        )
    chains, each = by_draw.layout(fit.posterior, draws)
    if each < LEAST_DRAWS and not isinstance(inner, Point):
        raise ValueError(
            f"Expected at least {LEAST_DRAWS} draws of each chain or member, to compare their "
            f"halves; got {each}. Take more draws."
        )
    if chains == 1 and not isinstance(inner, Samples):
        one = "one set of weights" if isinstance(inner, Point) else "draws of one distribution"
        return Diagnosis(NOTHING.format(what=f"{fit.method} gives {one}"))
    reading, column = _reading(fit, chains, each)
    names, values = zip(*_quantities(key, fit, data, draws), strict=True)
    recorded = by_draw.record(fit)
    of_weights = _flat(by_draw.weights(fit.posterior)) if weights else []
    return Diagnosis(
        reading,
        *_table(names, np.stack(values, axis=2), column, recorded.get("origin")),
        _sampler(recorded),
        _of_weights(*zip(*of_weights, strict=True)) if of_weights else None,
    )


def _reading(fit: Fit, chains: int, each: int) -> tuple[str, str]:
    """Return what is compared in words, and the name of the column that says so."""
    inner = by_draw.innermost(fit.posterior)
    if isinstance(inner, Point):
        return f"{chains} members. {SPREAD}", ""
    if isinstance(fit.posterior, Mixture) and not isinstance(inner, Samples):
        return f"{chains} members, {each:,} draws of each. {DISAGREE}", "disagreement"
    whole = "1 chain" if chains == 1 else f"{chains} chains"
    return f"{whole} of {each:,} draws. {COMPARED}", "rhat"


def _quantities(
    key: jax.Array, fit: Fit, data: Any, draws: int
) -> Iterator[tuple[str, np.ndarray]]:
    """Give what is compared: a name, and its draws (c, s)."""
    x = data.x if isinstance(data, Data) else data
    if x is not None:
        x = as_inputs(x)
        rows = probe_rows(len(x))
        x, where = x[rows], [f"at row {row}" for row in rows]
    elif fit.seen is not None:
        x, where = fit.seen.inputs(PROBES), [f"at made-up input {i}" for i in range(PROBES)]
    else:
        raise ValueError("This fit does not know what inputs it saw. Pass data, or inputs x.")
    values = by_draw.function_values(key, fit, x, draws)
    for i, place in enumerate(where):
        for j, name in enumerate(by_draw.value_names(fit.model.likelihood, values.shape[3])):
            yield f"{name} {place}", values[:, :, i, j]
    yield from _flat(by_draw.hyper_parameters(fit))
    if isinstance(data, Data):
        tiles = by_draw.log_likelihoods(key, fit, data, draws)
        yield "log likelihood", np.sum([tile.sum(axis=2, dtype=float) for tile in tiles], axis=0)
    recorded = by_draw.record(fit)
    if "log_joint" in recorded:
        yield "log joint", recorded["log_joint"]


def _flat(found: dict[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    """Give each entry of arrays (c, s, ...) by its path and place, as draws (c, s)."""
    for path, values in found.items():
        for place in np.ndindex(values.shape[2:]):
            name = f"{path}[{','.join(map(str, place))}]" if place else path
            yield name, values[(..., *place)] if place else values


def _table(
    names: tuple[str, ...], values: np.ndarray, column: str, origin: np.ndarray | None = None
) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    """Return names and statistics of draws (c, s, r), the worst of them first."""
    if not column:
        found = {"mean": np.mean(values, axis=(0, 1)), "sd": mixing.sd(values)}
        order = np.argsort(-found["sd"], kind="stable")
    else:
        found = mixing.summary(values)
        worst = -np.nan_to_num(found["rhat"], nan=0, posinf=np.inf)
        order = np.lexsort((np.fmin(found["ess_bulk"], found["ess_tail"]), worst))
        found = {column if name == "rhat" else name: part for name, part in found.items()}
        nested = None if origin is None else mixing.superchains(values, origin[:, 0])
        if nested is not None:
            found["nested_rhat"] = mixing.nested_rhat(nested)
    return tuple(names[i] for i in order), {name: part[order] for name, part in found.items()}


def _of_weights(names: tuple[str, ...], values: tuple[np.ndarray, ...]) -> Diagnosis:
    return Diagnosis(NO_VERDICT, *_table(names, np.stack(values, axis=2), "rhat"))


def _sampler(recorded: dict[str, np.ndarray]) -> dict[str, float]:
    """Return what a sampler's record (c, s) says of its transitions."""
    found: dict[str, float] = {}
    if "diverging" in recorded:
        found["divergences"] = int(recorded["diverging"].sum())
    if "energy" in recorded:
        found["bfmi"] = float(np.nanmin(mixing.bfmi(recorded["energy"]), initial=np.inf))
    for name in ("reached_max_depth", "acceptance_rate", "n_steps"):
        if name in recorded:
            found[name] = float(recorded[name].mean())
    return found


def _width(column: str) -> int:
    return max(10, len(column) + 2)


def _cell(column: str, value: float) -> str:
    digits = {"ess_bulk": ".0f", "ess_tail": ".0f", "rhat": ".3f", "disagreement": ".3f"}
    return f"{value:>{_width(column)}{digits.get(column, '.3g')}}"
