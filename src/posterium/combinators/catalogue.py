"""Methods by name: what `method="..."` means in an estimator and on the command line.

A name stands for a method with settings that suit a standardised table of a given size, and for
the parts of the model that are not given.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from posterium._struct import replace
from posterium.combinators.ensemble import Ensemble
from posterium.combinators.evidence import Evidence
from posterium.driver.protocol import Method
from posterium.methods.exact import Exact
from posterium.methods.map import MAP
from posterium.model.features import Affine, Linear
from posterium.model.hyper import learn
from posterium.model.likelihood import (
    LEAST_NOISE,
    Bernoulli,
    Categorical,
    Gaussian,
    HeteroscedasticGaussian,
)
from posterium.model.model import Model
from posterium.model.network import MLP
from posterium.model.prior import HalfNormal, Normal

HIDDEN = (32, 32)
ACTIVATION = "silu"
MEMBERS = 8
SMALL = 3000
"""Up to so many rows, a table gets small batches."""


def _learned_noise(floor: float, prior: Any = None) -> Gaussian:
    return Gaussian(learn(max(0.5, 2 * floor), floor=floor, prior=prior))


def _sampled_noise(floor: float) -> Gaussian:
    return _learned_noise(floor, HalfNormal(1.0))


@dataclass(frozen=True)
class Entry:
    """A method by name.

    Parameters
    ----------
    summary
        What it does, in a line.
    make
        Called with the number of rows; returns the method.
    tasks
        What it can be used for.
    noise
        Called with the least noise sd; returns the default likelihood of a regression.
    precision
        Called for the default prior precision.
    linear
        Whether it needs a model that is linear in its weights.
    """

    summary: str
    make: Callable[[int], Method]
    tasks: tuple[str, ...] = ("regression", "classification")
    noise: Callable[[float], Any] = HeteroscedasticGaussian
    precision: Callable[[], Any] = lambda: 1.0
    linear: bool = False


def descent(rows: int, **settings: Any) -> MAP:
    """Return the descent that suits a table of so many rows."""
    small = rows <= SMALL
    given = {
        "steps": 4500 if small else 7500,
        "batch_size": 64 if small else 256,
        "warmup": 0.05,
        "validation": 0.1,
        "patience": None,
    }
    return MAP(**given | settings)


def _ensemble(rows: int, members: int) -> Ensemble:
    return Ensemble(descent(rows), members)


ENTRIES: dict[str, Entry] = {
    "default": Entry(
        "the default: an ensemble of eight networks, each stopped early on rows of its own",
        lambda rows: _ensemble(rows, MEMBERS),
    ),
    "ensemble": Entry(
        "a deep ensemble of five networks, each stopped early on rows of its own",
        lambda rows: _ensemble(rows, 5),
    ),
    "exact": Entry(
        "exact Bayesian linear regression at maximum evidence",
        lambda rows: Evidence(Exact()),
        tasks=("regression",),
        noise=_learned_noise,
        precision=lambda: learn(1.0),
        linear=True,
    ),
    "map": Entry("the mode of the posterior, stopped early on held-out rows", descent),
    "mle": Entry(
        "maximum likelihood, stopped early on held-out rows",
        lambda rows: replace(descent(rows), use_prior=False),
    ),
}


def resolve(
    task: str,
    method: Any,
    network: Any,
    prior: Any,
    likelihood: Any,
    *,
    rows: int,
    targets: int,
    floor: float = LEAST_NOISE,
) -> tuple[Method, Model]:
    """Return the method and the model that names, records and None stand for.

    Parameters
    ----------
    task
        ``"regression"`` or ``"classification"``.
    method
        A name of `ENTRIES`, or a method.
    network, prior, likelihood
        Records; None for what suits the method; a likelihood may be a name.
    rows
        Number of rows n.
    targets
        Number of target columns, or of classes.
    floor
        Least noise sd of a likelihood that is not given as a record, in the model's target units.

    Raises
    ------
    ValueError
        When a name is unknown, or a method does not do this task.
    """
    entry = entry_of(task, method)
    likelihood = _likelihood(task, likelihood, entry, targets, floor)
    outputs = likelihood.outputs(targets)
    if network is None:
        network = Linear(Affine(), outputs) if entry.linear else MLP(outputs, HIDDEN, ACTIVATION)
    if prior is None:
        scaling = "none" if entry.linear else "fan_in"
        prior = Normal(entry.precision(), scaling)
    made = entry.make(rows) if isinstance(method, str) else method
    return made, Model(network, prior, likelihood)


def entry_of(task: str, method: Any) -> Entry:
    """Return the entry of a name, or one that suits a method given as a record."""
    if not isinstance(method, str):
        if not isinstance(method, Method):
            raise ValueError(
                f"method must be one of {', '.join(sorted(ENTRIES))}, or a method such as MAP(); "
                f"got {method!r}."
            )
        return _entry_like(method)
    usable = sorted(name for name, entry in ENTRIES.items() if task in entry.tasks)
    if method not in usable:
        raise ValueError(f"method for {task} must be one of {', '.join(usable)}; got {method!r}.")
    return ENTRIES[method]


def _entry_like(method: Method) -> Entry:
    """Return the defaults of the model for a method given as a record."""
    tuned = isinstance(method, Evidence)
    inner = method.of if tuned else method
    if isinstance(inner, Exact):
        exact = ENTRIES["exact"]
        return exact if tuned else Entry("", exact.make, noise=exact.noise, linear=True)
    return Entry("", lambda rows: method, precision=lambda: learn(1.0) if tuned else 1.0)


LIKELIHOODS: dict[str, dict[str, Callable[[float], Any]]] = {
    "regression": {
        "gaussian": _learned_noise,
        "heteroscedastic": HeteroscedasticGaussian,
    },
    "classification": {
        "bernoulli": lambda floor: Bernoulli(),
        "categorical": lambda floor: Categorical(),
    },
}


def _likelihood(task: str, likelihood: Any, entry: Entry, targets: int, floor: float) -> Any:
    if likelihood is None:
        if task == "regression":
            return entry.noise(floor)
        return Bernoulli() if targets == 2 else Categorical()
    if isinstance(likelihood, str):
        usable = LIKELIHOODS[task]
        if likelihood not in usable:
            raise ValueError(
                f"likelihood for {task} must be one of {', '.join(usable)}; got {likelihood!r}."
            )
        return usable[likelihood](floor)
    if likelihood.task != task:
        raise ValueError(
            f"Expected a likelihood for {task}; {type(likelihood).__name__} is for "
            f"{likelihood.task}."
        )
    return likelihood
