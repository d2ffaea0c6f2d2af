"""What can be refused before anything is computed."""

from typing import Any

import jax
import numpy as np

from posterium.driver.protocol import Method
from posterium.model.adapters.recognise import as_network
from posterium.model.data import Data
from posterium.model.hyper import fix, learned
from posterium.model.likelihoods.base import refuse_misfit
from posterium.model.model import Model
from posterium.model.priors.base import INFINITY, ZERO, narrowed
from posterium.numerics import forks, trees

TINY = float(np.finfo(np.float32).tiny)


def check_door(key: Any, model: Model, method: Any) -> None:
    """Refuse what is no key, network or method, and a process in which JAX does not run."""
    forks.refuse()
    if not trees.is_key(key) or key.shape != ():
        raise TypeError(f"key must be one typed key, such as jax.random.key(0); got {key!r}.")
    as_network(model.network)
    for role, given in (("prior", model.prior), ("likelihood", model.likelihood)):
        if isinstance(given, type) or not hasattr(given, "log_prob"):
            example = "Normal(1.0)" if role == "prior" else "Gaussian(0.1)"
            raise TypeError(f"{role} must be a {role} such as {example}; got {given!r}.")
    if isinstance(method, type) or not isinstance(method, Method):
        raise TypeError(
            f"method must be a method such as MAP() or Ensemble(MAP(), 5); got {method!r}."
        )


def check_model(model: Model, data: Data) -> None:
    """Refuse a model whose network, likelihood and target do not fit together.

    Of a stream the first batch is looked at.

    Raises
    ------
    ValueError
        When the network gives another number of outputs than the likelihood needs, when the
        target is of the wrong kind, or when a class index is out of range.
    """
    for part in narrowed(model.prior):
        _check_numbers("prior", part, part.narrows)
    for free in learned(model):
        _check_numbers("prior of a hyper-parameter", free.prior, {})
    _check_numbers("likelihood", model.likelihood, {"scale": ZERO, "floor": INFINITY})
    f = _outputs(model, data)
    likelihood = type(model.likelihood).__name__
    if f.ndim != 2 or f.shape[0] != len(data.x):
        raise ValueError(
            f"The network must map x {data.x.shape} to f (n, k); it gives {f.shape}. "
            "Batch in, batch out: one row of outputs a row of inputs."
        )
    if model.likelihood.task == "classification":
        _check_classes(model, data, f.shape[1], likelihood)
        return
    if not np.issubdtype(data.y.dtype, np.floating):
        raise ValueError(
            f"{likelihood} expects a target of numbers (float); got {data.y.dtype}. "
            "Convert y with y.astype(float), or use Bernoulli() or Categorical() for classes."
        )
    refuse_misfit(model.likelihood, data.y)
    needed = model.likelihood.outputs(data.y.shape[1])
    if f.shape[1] != needed:
        raise ValueError(
            f"{likelihood} with {data.y.shape[1]} target column(s) needs a network with {needed} "
            f"output(s); it has {f.shape[1]}. Give it {needed}, as in MLP(outputs={needed})."
        )


def _check_numbers(role: str, record: Any, ends: dict[str, str]) -> None:
    """Refuse numbers, fixed or learned, that are not finite, or below 0, or at the end 0.

    They are those of the names given, with an end each, and those that the record calls positive.
    """
    ends = ends | dict.fromkeys(getattr(record, "positive", ()), ZERO)
    for name, end in ends.items():
        low, bound = (TINY, "above 0") if end == ZERO else (0.0, "at least 0")
        for leaf in jax.tree.leaves(fix(getattr(record, name, ()))):
            given = np.asarray(leaf)
            if not (np.isfinite(given) & (given >= low)).all():
                raise ValueError(
                    f"The {name} of the {role} must be finite and {bound}; got {given} in "
                    f"{type(record).__name__}."
                )


@jax.jit
def _forward(network: Any, key: jax.Array, x: Any) -> jax.Array:
    return network.apply(network.init(key, x), x)[0]


def _outputs(model: Model, data: Data) -> Any:
    return jax.eval_shape(_forward, model.network, jax.random.key(0), data.x)


def _check_classes(model: Model, data: Data, outputs: int, likelihood: str) -> None:
    if np.issubdtype(data.y.dtype, np.floating) or data.y.ndim != 1:
        raise ValueError(
            f"{likelihood} expects class indices (n,) of an integer type; got {data.y.dtype} of "
            f"shape {data.y.shape}. Number the classes from 0."
        )
    classes = outputs
    if outputs == 1:
        f = jax.ShapeDtypeStruct((1, 1), np.float32)
        classes = max(2, jax.eval_shape(model.likelihood.log_probs, f).shape[1])
    needed = model.likelihood.outputs(classes)
    low, high = int(np.min(data.y)), int(np.max(data.y))
    if needed != outputs or low < 0 or high >= classes:
        raise ValueError(
            f"{likelihood} on a network with {outputs} output(s) needs class indices from 0 to "
            f"{classes - 1}; got {low} to {high}. Give the network 1 output for Bernoulli, or one "
            "a class for Categorical."
        )
