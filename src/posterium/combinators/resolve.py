"""Resolve: the method and the model that names, records and None stand for."""

from collections.abc import Callable
from typing import Any

from posterium._struct import replace
from posterium.combinators.catalogue import ENTRIES, SHALLOW, Entry, tuned
from posterium.combinators.evidence import Evidence
from posterium.combinators.likelihoods import Target, likelihood_of
from posterium.driver.protocol import Method
from posterium.methods.adjusted_mclmc import AdjustedMCLMC
from posterium.methods.chees import ChEES
from posterium.methods.exact import Exact
from posterium.methods.hmc import HMC
from posterium.methods.ivon import IVON
from posterium.methods.laplace import Laplace
from posterium.methods.mc_dropout import MCDropout
from posterium.methods.mclmc import MCLMC
from posterium.methods.nuts import NUTS
from posterium.methods.parallel_tempering import ParallelTempering
from posterium.methods.pbp import PBP
from posterium.methods.snapshot import Snapshot
from posterium.methods.swag import SWAG
from posterium.methods.vi import VI
from posterium.model.features import Affine, Linear
from posterium.model.hyper import is_learned, learn, value
from posterium.model.likelihoods.base import LEAST_NOISE
from posterium.model.model import Model
from posterium.model.network import MLP
from posterium.model.priors.normal import Flat, Normal
from posterium.model.priors.sparse import Horseshoe, SpikeAndSlab
from posterium.model.priors.tails import LaplacePrior, StudentTPrior


def resolve(
    task: str,
    method: Any,
    network: Any,
    prior: Any,
    likelihood: Any,
    *,
    rows: int,
    targets: int,
    floor: Any = LEAST_NOISE,
    mean: Any = 1.0,
) -> tuple[Method, Model]:
    """Return the method and the model that names, records and None stand for.

    Parameters
    ----------
    task
        ``"regression"`` or ``"classification"``.
    method
        A name of `ENTRIES`, or a method.
    network, prior, likelihood
        Records, or names of `NETWORKS`, `PRIORS` and `LIKELIHOODS`; None for what suits the
        method. An `MLP` or a `Linear` gets the outputs that likelihood and target need.
    rows
        Number of rows n.
    targets
        Number of target columns, or of classes.
    floor
        Least noise sd of a likelihood that is not given as a record, in the model's target units:
        one number, or one a target column. A learned noise sd has as many entries.
    mean
        Mean of the target in its own units, likewise; what counts are predicted in.

    Raises
    ------
    ValueError
        When a name is unknown, or a method does not do this task.
    """
    entry = entry_of(task, method)
    target = Target(targets, floor, mean, entry.sampled)
    likelihood = likelihood_of(task, likelihood, entry.noise, target)
    outputs = likelihood.outputs(targets)
    network = _network(network, entry, outputs)
    prior = _prior(prior, entry, network)
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
    """Return the defaults of the model for a method given as a record.

    They are those of the first named method that ends with the same kind of record; hyper-
    parameters are free only under a method that decides on them.
    """
    kinds = _kinds(method)
    for kind, name in (
        (Exact, "exact"), (NUTS, "nuts"), (HMC, "hmc"), (ChEES, "chees"),
        (MCLMC, "mclmc"), (AdjustedMCLMC, "hmc"), (ParallelTempering, "tempering"),
        (VI, "vi"), (IVON, "ivon"), (PBP, "pbp"), (Laplace, "laplace"),
        (SWAG, "swag"), (Snapshot, "snapshot"), (MCDropout, "mc-dropout"),
    ):  # fmt: skip
        if kind in kinds:
            entry = ENTRIES[name]
            decided = Evidence in kinds or kind is PBP
            return replace(entry, precision=tuned if decided else lambda: 1.0)
    return ENTRIES["map"]


def _kinds(method: Any) -> set[type]:
    """Return the types of a method and of the methods inside its combinators."""
    inner = getattr(method, "of", None)
    return {type(method)} | (_kinds(inner) if inner is not None else set())


NETWORKS: dict[str, Callable[[Entry, int], Any]] = {
    "mlp": lambda entry, outputs: MLP(
        outputs, entry.hidden or SHALLOW, entry.activation, dropout=entry.dropout
    ),
    "linear": lambda entry, outputs: Linear(Affine(), outputs),
}


def _scale(entry: Entry, share: float = 1.0) -> Any:
    """Return a share of the sd of an entry's weights, free where their precision is."""
    precision = entry.precision()
    scale = float(share * value(precision) ** -0.5)
    return learn(scale) if is_learned(precision) else scale


PRIORS: dict[str, Callable[[Entry, str], Any]] = {
    "normal": lambda entry, scaling: Normal(entry.precision(), scaling),
    "laplace": lambda entry, scaling: LaplacePrior(_scale(entry, 0.5**0.5), scaling),
    "student_t": lambda entry, scaling: StudentTPrior(4.0, _scale(entry, 0.5**0.5), scaling),
    "spike_and_slab": lambda entry, scaling: SpikeAndSlab(0.05, _scale(entry), 0.5, scaling),
    "horseshoe": lambda entry, scaling: Horseshoe(_scale(entry), scaling),
    "flat": lambda entry, scaling: Flat(),
}
"""By name; those with an sd have the one that the normal prior of the method has."""


def _network(network: Any, entry: Entry, outputs: int) -> Any:
    if network is None:
        network = "linear" if entry.hidden is None else "mlp"
    if isinstance(network, str):
        return _named("network", network, NETWORKS)(entry, outputs)
    return replace(network, outputs=outputs) if isinstance(network, MLP | Linear) else network


def _prior(prior: Any, entry: Entry, network: Any) -> Any:
    if prior is not None and not isinstance(prior, str):
        return prior
    scaling = "none" if isinstance(network, Linear) else "fan_in"
    return _named("prior", prior or "normal", PRIORS)(entry, scaling)


def _named(role: str, name: str, known: dict[str, Any]) -> Any:
    if name not in known:
        raise ValueError(f"{role} must be one of {', '.join(known)}, or a record; got {name!r}.")
    return known[name]
