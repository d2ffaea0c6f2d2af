"""Probes: what a user's own network, prior or likelihood computes, compared when a file is read.

A model file holds the numbers of such a part, not its code. So that other code cannot pass for
it, the file also holds what the part computed at one set of weights and at a few made-up inputs,
drawn evenly within the ranges that the fit saw: no row of the data is in it.
"""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from posterium._struct import replace, struct
from posterium.model.subset import Part
from posterium.model.weights import Weights
from posterium.numerics import trees
from posterium.posterior.fit import Fit
from posterium.posterior.posterior import Mixture

ROWS = 4
ROUNDINGS = 2**8
"""Answers may differ by what so many roundings of every weight change, other machines included."""

Answers = dict[str, Any]


class ExternalError(ValueError):
    """A user's own part of a model is needed to load a file, or the one given does not fit."""


@struct
class Probe:
    """Questions to the parts of a model, and the answers that were given when it was saved.

    Parameters
    ----------
    x
        Made-up inputs, (4, ...), or None where the fit does not know the ranges of its inputs;
        network and likelihood are not asked then.
    outputs
        Of the network at `x`, (4, k).
    targets
        Drawn from the likelihood at `outputs`; None where it cannot draw.
    answers
        By role and name, arrays.
    slack
        Likewise, by how much an answer may differ: a number each.
    """

    x: Any = None
    outputs: Any = None
    targets: Any = None
    answers: Any = None
    slack: Any = None


def measure(fit: Fit, roles: Iterable[str]) -> Probe:
    """Return what the parts of a fit's model in these roles compute.

    What a part does not compute, such as a prior without `log_prob`, is left out.
    """
    with _exact(fit):
        weights = _weights(fit)
        nudged = _nudged(weights, fit.precision)
        probe = Probe() if fit.seen is None else Probe(jnp.asarray(fit.seen.inputs(ROWS)))
        asked, beside = (_with_outputs(fit, w, probe) for w in (weights, nudged))
        asked = replace(asked, targets=_targets(fit, asked))
        beside = replace(beside, targets=asked.targets)
        answers = {role: _answers(role, fit, weights, asked) for role in roles}
        others = {role: _answers(role, fit, nudged, beside) for role in roles}
    slack = {
        role: {
            name: _slack(a, others[role].get(name, a), fit.precision) for name, a in given.items()
        }
        for role, given in answers.items()
    }
    return trees.to_numpy(replace(asked, answers=answers, slack=slack))


def check(fit: Fit, probe: Probe, call: str) -> None:
    """Compare the parts of a fit that was read with what they computed when it was saved.

    Raises
    ------
    ExternalError
        A part has other weights, cannot be evaluated, or computes something else; the message
        ends with the `call` to make.
    """
    with _exact(fit):
        weights = _weights(fit)
        for role, answers in probe.answers.items():
            wrong = _misfit(fit, weights, probe) if role == "network" else ""
            wrong = wrong or _difference(role, fit, weights, probe, answers)
            if wrong:
                raise ExternalError(
                    f"The {role} given is not the one that was saved: {wrong}. Pass that one: "
                    f"{call}."
                )


@contextlib.contextmanager
def _exact(fit: Fit) -> Iterator[None]:
    """Compute in the precision of a fit, products too."""
    with jax.enable_x64(fit.precision == "float64"), jax.default_matmul_precision("highest"):
        yield


def _weights(fit: Fit) -> Weights:
    """Return one set of weights that is stored as it is."""
    posterior = fit.posterior
    while isinstance(posterior, Mixture):
        posterior = posterior.member(0)[0]
    return jax.tree.map(jnp.asarray, posterior.mode())


def _nudged(weights: Weights, precision: str) -> Weights:
    """Return weights of which each has moved by some roundings, up or down at random."""
    step, generator = ROUNDINGS * np.finfo(precision).eps, np.random.default_rng(1)

    def nudge(leaf: Any) -> Any:
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            return leaf
        sign = generator.choice([-1.0, 1.0], leaf.shape)
        return leaf * jnp.asarray(1 + step * sign, leaf.dtype)

    return replace(weights, params=jax.tree.map(nudge, weights.params))


def _with_outputs(fit: Fit, weights: Weights, probe: Probe) -> Probe:
    if probe.x is None:
        return probe
    return replace(probe, outputs=fit.model.network.apply(weights, probe.x)[0])


def _targets(fit: Fit, probe: Probe) -> Any:
    with contextlib.suppress(Exception):
        if probe.outputs is not None:
            return fit.model.likelihood.sample(jax.random.key(0), probe.outputs)
    return None


def _questions(role: str, fit: Fit, weights: Weights, probe: Probe) -> dict[str, Any]:
    """Return what can be asked of a part, by name: functions without arguments."""
    network, prior, likelihood = fit.model.network, fit.model.prior, fit.model.likelihood
    if role == "prior":
        return {"log density": lambda: prior.log_prob(weights.params)}
    if probe.x is None:
        return {}
    if role == "network":
        return {"outputs": lambda: network.apply(weights, probe.x)[0]}
    f, y = jnp.asarray(probe.outputs), probe.targets
    asked = {"log density": lambda: likelihood.log_prob(f, jnp.asarray(y))} if y is not None else {}
    if likelihood.task == "classification":
        return asked | {"log probabilities": lambda: likelihood.log_probs(f)}
    mean, variance = (lambda i=i: likelihood.moments(f)[i] for i in range(2))
    return asked | {"means": mean, "variances": variance}


def _answers(role: str, fit: Fit, weights: Weights, probe: Probe) -> Answers:
    answers = {}
    for name, ask in _questions(role, fit, weights, probe).items():
        with contextlib.suppress(Exception):
            answers[name] = ask()
    return answers


def _slack(answer: Any, nudged: Any, precision: str) -> float:
    """Return by how much an answer may differ: what nudged weights change, and roundings of it."""
    with np.errstate(invalid="ignore"):
        change = np.abs(np.asarray(answer, np.float64) - np.asarray(nudged, np.float64))
    size = np.abs(np.asarray(answer, np.float64))
    own = ROUNDINGS * np.finfo(precision).eps * np.max(size[np.isfinite(size)], initial=0)
    return float(np.max(change[np.isfinite(change)], initial=0) + own)


def _misfit(fit: Fit, weights: Weights, probe: Probe) -> str:
    """Say which weights of a network differ in path or shape; nothing where none does."""
    network = fit.model.network
    while isinstance(network, Part):
        network, weights = network.network, network.whole(weights)
    if probe.x is None:
        return ""
    try:
        made = jax.eval_shape(network.init, jax.random.key(0), probe.x)
    except Exception as error:
        return f"it makes no weights for inputs {probe.x.shape}: {_first_line(error)}"
    was, now = (
        {path: np.shape(leaf) for path, leaf in trees.flatten((w.params, w.state)).items()}
        for w in (weights, made)
    )
    lines = [f"no {path[2:]} {was[path]}" for path in was if path not in now]
    lines += [f"{path[2:]} {now[path]}, which was not there" for path in now if path not in was]
    lines += [
        f"{path[2:]} {now[path]}, was {was[path]}"
        for path in was
        if path in now and was[path] != now[path]
    ]
    return f"it has {'; '.join(lines)}" if lines else ""


def _difference(role: str, fit: Fit, weights: Weights, probe: Probe, answers: Answers) -> str:
    """Say what a part answers otherwise than it did; nothing where all is the same."""
    asked = _questions(role, fit, weights, probe)
    for name, was in answers.items():
        try:
            now = np.asarray(asked[name]())
        except Exception as error:
            return f"its {name} cannot be computed: {_first_line(error)}"
        if now.shape != was.shape:
            return f"its {name} have shape {now.shape}, not {was.shape}"
        slack = float(probe.slack[role][name])
        if not np.allclose(now, was, rtol=0, atol=slack, equal_nan=True):
            with np.errstate(invalid="ignore"):
                worst = np.max(np.abs(now.astype(float) - was))
            return (
                f"at the inputs of a probe its {name} differ by up to {worst:.2g}, where rounding "
                f"explains {slack:.1g}"
            )
    return ""


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}"
