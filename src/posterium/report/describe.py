"""Model and method in words, from the records of a fit."""

import math
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from posterium._struct import brief
from posterium.combinators.catalogue import ENTRIES
from posterium.model.features import Linear
from posterium.model.hyper import is_learned, value
from posterium.model.likelihoods.classes import Bernoulli, Categorical
from posterium.model.likelihoods.gaussian import Gaussian, HeteroscedasticGaussian
from posterium.model.network import MLP
from posterium.model.priors.normal import Flat, Normal
from posterium.posterior.functions import default_how
from posterium.posterior.posterior import (
    DropoutPosterior,
    GaussianPosterior,
    Mixture,
    Point,
    Samples,
)
from posterium.posterior.summary import WORDS
from posterium.report.subject import Subject
from posterium.report.words import count, number

Fact = tuple[str, str]


def facts(subject: Subject, record: Mapping[str, Any]) -> list[Fact]:
    """Return what was believed and how it was reasoned, as names and sentences."""
    fit = subject.fit
    found = [
        ("Method", method(fit.method, record)),
        ("Network", network(fit.model.network)),
        ("Prior", prior(fit.model.prior)),
        ("Likelihood", likelihood(fit.model.likelihood, subject)),
        ("Posterior", posterior(fit.posterior)),
    ]
    if not math.isnan(fit.log_evidence):
        found.append(("Log evidence", f"{number(fit.log_evidence, 6)} nats, in the fit's units"))
    found.append(("Predictions", predictions(subject)))
    return found


def predictions(subject: Subject) -> str:
    """Return what predictions are averaged over, in words."""
    fit = subject.fit
    linear = default_how(fit.posterior) == "linear"
    if linear and fit.model.likelihood.linear_mean:
        return "in closed form, by the network linearised at the mean of its weights"
    draws = subject.draws or fit.posterior.default_draws()
    return f"from {count(draws, 'function')}" + (" of the linearised network" if linear else "")


def method(kind: str, record: Mapping[str, Any]) -> str:
    """Return the name of a method and what it does."""
    name = str(record.get("method") or kind)
    text = name
    if name in ENTRIES:
        text = f"{name}: {ENTRIES[name].summary.removeprefix('the default: ')}"
    settings = ", ".join(map(str, record.get("settings") or ()))
    return f"{text} (with {settings})" if settings else text


def network(record: Any) -> str:
    """Return the layers of a network in words."""
    if isinstance(record, MLP):
        layers = ", ".join(map(str, record.hidden))
        rate = record.dropout
        dropped = "" if rate is None else f", hidden units dropped at rate {_value(rate)}"
        return (
            f"multi-layer perceptron, hidden layers of {layers} units ({record.activation}), "
            f"{count(record.outputs, 'output')}{dropped}"
        )
    if isinstance(record, Linear):
        return f"linear in its weights, on {type(record.features).__name__.lower()} features"
    return type(record).__name__


def prior(record: Any) -> str:
    """Return a prior in words."""
    if isinstance(record, Flat):
        return "flat: every value of a weight is as likely as another"
    if isinstance(record, Normal):
        scaling = " times the fan-in of the layer" if record.scaling == "fan_in" else ""
        return (
            f"independent Gaussian weights of mean 0, precision {_value(record.precision)}{scaling}"
        )
    return brief(record)


def likelihood(record: Any, subject: Subject) -> str:
    """Return a likelihood in words, noise in the units of the target."""
    sampled = isinstance(subject.fit.posterior, Samples) and is_learned(getattr(record, "scale", 0))
    if isinstance(record, Gaussian) and sampled:
        return "Gaussian noise, its sd sampled with the weights"
    if isinstance(record, Gaussian):
        scale = subject.target_scale if len(subject.target_scale) == 1 else 1.0
        unit = "in target units" if len(subject.target_scale) == 1 else "in standardised units"
        return f"Gaussian noise, sd {_value(record.scale, scale)} {unit}"
    if isinstance(record, HeteroscedasticGaussian):
        return "Gaussian noise whose sd the network predicts for every row"
    if isinstance(record, Bernoulli):
        return "Bernoulli: the network gives the log odds of the second class"
    if isinstance(record, Categorical):
        return "categorical: the network gives one logit a class"
    words = WORDS.get(type(record))
    if words is None:
        return type(record).__name__
    shown = {n: v if isinstance(v, tuple) else _value(v) for n, v in vars(record).items()}
    scaled = {"scale", "floor"} & set(vars(record))
    return words.format(**shown) + (", in standardised units" if scaled else "")


def posterior(record: Any) -> str:
    """Return what represents the posterior, with the number of weights."""
    part, members = record, 1
    while isinstance(part, Mixture):
        members *= part.size()
        part = part.member(0)[0]
    weights = f"{_weights(part):,} weights"
    kinds = {
        Point: "one setting of the weights",
        DropoutPosterior: "one setting of the weights under random masks",
        GaussianPosterior: "a Gaussian over the weights",
        Samples: "draws of the weights",
    }
    what = next(
        (text for kind, text in kinds.items() if isinstance(part, kind)), type(part).__name__
    )
    if isinstance(part, Samples):
        what = f"{part.size():,} draws of the weights"
    return f"{members} networks, each {what} ({weights})" if members > 1 else f"{what}, {weights}"


def _weights(part: Any) -> int:
    return sum(int(np.size(leaf)) for leaf in jax.tree.leaves(part.mode().params))


def _value(hyper: Any, scale: Any = 1.0) -> str:
    """Return the value of a hyper-parameter, or its range over members and columns."""
    leaves = jax.tree.leaves(hyper, is_leaf=is_learned)
    values = np.concatenate([np.ravel(np.asarray(value(leaf)) * scale) for leaf in leaves])
    low, high = float(values.min()), float(values.max())
    text = number(low, 3) if low == high else f"{number(low, 3)} to {number(high, 3)}"
    return text + (" (learned)" if any(map(is_learned, leaves)) else "")
