"""Summaries: what a fit did and found, in at most ten lines of text."""

import math
from typing import Any

import jax
import numpy as np

from posterium._struct import brief, replace
from posterium.model import hyper
from posterium.model.likelihoods.classes import Bernoulli, Categorical
from posterium.model.likelihoods.counts import NegativeBinomial, Poisson
from posterium.model.likelihoods.gaussian import Gaussian, HeteroscedasticGaussian
from posterium.model.likelihoods.mixture import MixtureOfGaussians
from posterium.model.likelihoods.ordinal import Ordinal
from posterium.model.likelihoods.quantiles import HeteroscedasticLaplace, LaplaceNoise, Quantile
from posterium.model.likelihoods.student_t import HeteroscedasticStudentT, StudentT
from posterium.model.likelihoods.survival import Weibull
from posterium.model.priors.normal import Flat, Normal
from posterium.model.subnetwork import SubnetworkPrior
from posterium.model.subset import Part, RestrictedPrior
from posterium.numerics import trees
from posterium.posterior.family import FamilyPosterior
from posterium.posterior.posterior import (
    DropoutPosterior,
    GaussianPosterior,
    Mixture,
    Point,
    Samples,
)

WORDS: dict[type, str] = {
    Flat: "flat",
    Normal: "Gaussian, precision {precision}{scaling}",
    Gaussian: "Gaussian noise, sd {scale}",
    HeteroscedasticGaussian: "Gaussian noise, sd predicted for each row and above {floor}",
    Bernoulli: "two classes (Bernoulli)",
    Categorical: "classes (Categorical)",
    Ordinal: "ordered classes, cut points {gaps} apart",
    StudentT: "Student-t noise, scale {scale}, {df} degrees of freedom",
    HeteroscedasticStudentT: "Student-t noise, scale predicted for each row and above {floor}, "
    "{df} degrees of freedom",
    LaplaceNoise: "Laplace noise, scale {scale}",
    HeteroscedasticLaplace: "Laplace noise, scale predicted for each row and above {floor}",
    Quantile: "quantiles at {levels}, scale {scale}",
    MixtureOfGaussians: "a mixture of {components} Gaussians, predicted for each row",
    Poisson: "counts (Poisson), rates in units of {unit}",
    NegativeBinomial: "counts (negative binomial), dispersion {dispersion}",
    Weibull: "times that may be cut off (Weibull), shape {shape}",
}
"""Priors and likelihoods in words; any other shows as its record."""

SCALED = {"fan_in": ", scaled by fan-in", "none": ""}
TERMS = {"log_prior": "log prior", "kl": "KL", "log_likelihood": "log likelihood"}
LISTED = 4
"""Numbers that are listed; of more, the least and the largest are told."""


def summary(fit: Any) -> str:
    """Return what was done, what came out and whether to trust it: a line each, no times."""
    model = _told_model(fit)
    lines = {
        "Fit": _method(fit),
        "network": _network(fit, model.network),
        "prior": _part(model.prior),
        "likelihood": _part(model.likelihood),
        "data": _data(fit.seen),
        "steps": _steps(fit.info),
        "posterior": _posterior(fit.posterior),
        "objective": _objective(fit.info),
        "evidence": _evidence(fit),
        "verdict": str(fit.verdict),
    }
    return "\n".join(f"{name:<11}{text}" for name, text in lines.items() if text)


def _method(fit: Any) -> str:
    spread = f", on {fit.devices} devices" if fit.devices > 1 else ""
    return f"{fit.settings or fit.method or 'of unknown origin'}, in {fit.precision}{spread}"


def _network(fit: Any, network: Any) -> str:
    count = _count(_one(fit.posterior).params)
    if isinstance(network, Part):
        whole = _count(network.frozen.params)
        return f"{brief(network.network)}, {count:,} of its {whole:,} weights"
    return f"{brief(network)}, {count:,} weights"


def _part(record: Any) -> str:
    if isinstance(record, RestrictedPrior | SubnetworkPrior):
        return _part(record.prior)
    words = WORDS.get(type(record))
    if words is None:
        return brief(record)
    texts = {name: brief(value) for name, value in vars(record).items()}
    return words.format(**texts | {"scaling": SCALED.get(vars(record).get("scaling", ""), "")})


def _data(seen: Any) -> str:
    if seen is None:
        return ""
    shape = "x".join(map(str, seen.low.shape))
    return f"{seen.rows:,} rows of {shape} input{'' if shape == '1' else 's'}"


def _steps(info: dict[str, Any]) -> str:
    phases = {name: record for name, record in info.items() if isinstance(record, dict) and record}
    texts = [f"{name} {len(next(iter(r.values()))):,}" for name, r in phases.items()]
    if last := next((r for r in reversed(phases.values()) if "diverging" in r), None):
        accepted = np.mean(last["acceptance_rate"])
        texts.append(f"{np.sum(last['diverging']):,} divergent, acceptance {accepted:.2f}")
    return "; ".join(texts)


def _posterior(posterior: Any) -> str:
    if isinstance(posterior, Mixture):
        return f"{posterior.size()} members, each {_posterior(posterior.member(0)[0])}"
    if isinstance(posterior, Point):
        return "one set of weights"
    if isinstance(posterior, DropoutPosterior):
        return "one set of weights under random masks"
    if isinstance(posterior, GaussianPosterior):
        covariance = posterior.covariance.title
        how = "the linearised network" if posterior.how == "linear" else "draws"
        return f"a Gaussian with {covariance} covariance, predicted from by {how}"
    if isinstance(posterior, FamilyPosterior):
        return f"of the family {brief(posterior.family)}, predicted from by draws"
    if isinstance(posterior, Samples):
        chains, draws = np.shape(_first_leaf(posterior))[:2]
        return f"{chains} chain{'s' if chains > 1 else ''} of {draws:,} draws"
    return brief(posterior)


def _objective(info: dict[str, Any]) -> str:
    """Return the terms of the objective at the last step of the last phase that recorded them."""
    records = [r for r in info.values() if isinstance(r, dict)]
    for record in reversed(records):
        found = {name: text for name, text in TERMS.items() if len(record.get(name, ()))}
        if len(found) > 1:
            terms = [f"{text} {_ends(record[name][-1])}" for name, text in found.items()]
            return ", ".join(terms) + " nats at the last step"
        if len(record.get("log_joint", ())):
            values = record["log_joint"]
            return f"log joint {np.mean(values):.5g} nats on average, sd {np.std(values):.3g}"
    return ""


def _evidence(fit: Any) -> str:
    return "" if math.isnan(fit.log_evidence) else f"log evidence {fit.log_evidence:.6g} nats"


class _Told:
    """A learned hyper-parameter in words, in the place of its record."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def _told_model(fit: Any) -> Any:
    """Return the model with words in place of its learned hyper-parameters."""
    texts = iter(_learned(fit))

    def told(leaf: Any) -> Any:
        return _Told(next(texts)) if hyper.is_learned(leaf) else leaf

    return jax.tree.map(told, fit.model, is_leaf=hyper.is_learned)


def _learned(fit: Any) -> list[str]:
    """Return each learned hyper-parameter in words: over members or draws where it differs."""
    posterior, models, depth = fit.posterior, fit.model, 0
    while isinstance(posterior, Mixture):
        posterior, models, depth = posterior.parts, posterior.models, depth + 1
    found = hyper.learned(models)
    if depth and not isinstance(posterior, Samples):
        return [f"{_ends(h.value)} (learned by each member)" for h in found]
    if not isinstance(posterior, Samples) or not posterior.draws.raws:
        return [f"{_listed(h.value)} (learned)" for h in found]
    sampled = [
        replace(
            h, raw=np.asarray(raw, np.float64), floor=_beside(h.floor, depth),
            ceiling=_beside(h.ceiling, depth),
        )
        for h, raw in zip(found, posterior.draws.raws, strict=True)
    ]  # fmt: skip
    return [f"{_ends(h.value)} (sampled)" for h in sampled]


def _beside(bound: Any, depth: int) -> Any:
    """Return bounds with axes for chains and draws behind those of members."""
    return np.expand_dims(bound, (depth, depth + 1)) if np.ndim(bound) >= depth > 0 else bound


def _listed(values: Any) -> str:
    """Return some numbers in their order, as of several columns; of many, the ends."""
    values = np.ravel(values)
    return ", ".join(f"{v:.5g}" for v in values) if len(values) <= LISTED else _ends(values)


def _ends(values: Any) -> str:
    """Return a number, or the least and the largest of several that differ."""
    low, high = (f"{end:.5g}" for end in (np.min(values), np.max(values)))
    return low if low == high else f"{low} to {high}"


def _one(posterior: Any) -> Any:
    while isinstance(posterior, Mixture):
        posterior = posterior.member(0)[0]
    return posterior.mode()


def _first_leaf(posterior: Any) -> Any:
    return next(iter(trees.flatten(posterior).values()))


def _count(params: Any) -> int:
    return sum(int(np.size(leaf)) for leaf in trees.flatten(params).values())
