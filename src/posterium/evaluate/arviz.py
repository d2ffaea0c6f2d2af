"""To ArviZ: a fit as the container that ArviZ's tables and figures take, of 0.23 and of 1.x."""

from typing import Any

import jax
import numpy as np

from posterium.evaluate import draws as by_draw
from posterium.evaluate.convergence import probe_rows
from posterium.model.data import Data
from posterium.posterior.fit import Fit

MAX_BYTES = 2**30
STATISTICS = {
    "diverging": "diverging",
    "energy": "energy",
    "tree_depth": "tree_depth",
    "reached_max_depth": "reached_max_treedepth",
    "n_steps": "n_steps",
    "step_size": "step_size",
    "acceptance_rate": "acceptance_rate",
    "log_joint": "lp",
}
"""What samplers record, and what ArviZ calls it."""


def to_arviz(
    key: jax.Array,
    fit: Fit,
    data: Data,
    *,
    draws: int = 1000,
    weights: bool = False,
    max_bytes: int = MAX_BYTES,
) -> Any:
    """Return a fit for ArviZ: an `InferenceData` of ArviZ 0.23, a `DataTree` of 1.x.

    The group ``posterior`` holds ``f``, the predictions of every draw at up to 32 probes (means and
    log noise variances, or log probabilities; those that never change are left out), and sampled
    hyper-parameters by path. ``log_likelihood``, ``observed_data`` and ``constant_data`` hold all
    rows; ``sample_stats`` what a sampler recorded. Members of a mixture stand as chains: what ArviZ
    says of their convergence is then how far they disagree, which is no failure of an ensemble.

    Parameters
    ----------
    key
        Typed random key for draws of a posterior that has no draws of its own.
    fit
        What `fit` returned.
    data
        The rows that were fitted.
    draws
        Draws of each member; those of a sampler are all taken.
    weights
        Add the weights by path. What is said of them is no verdict: hidden units can change places
        without any change of the function.
    max_bytes
        What the log likelihoods of all rows under all draws may take.

    Raises
    ------
    ImportError
        Where ArviZ is not installed.
    ValueError
        Where data do not suit the network, the log likelihoods would take too much, or `weights`
        are asked of what has no draws.
    """
    arviz = _arviz()
    _refuse_large(fit, data, draws, max_bytes)
    rows = probe_rows(len(data.x))
    values = by_draw.function_values(key, fit, data.x[rows], draws)
    moving = np.ptp(values, axis=(0, 1, 2)) > 0
    names = np.array(by_draw.value_names(fit.model.likelihood, len(moving)))
    log_likelihood = list(by_draw.log_likelihoods(key, fit, data, draws))
    recorded = by_draw.record(fit)
    groups = {
        "posterior": {"f": values[..., moving], **_sampled(fit, weights)},
        "sample_stats": {
            theirs: recorded[ours] for ours, theirs in STATISTICS.items() if ours in recorded
        },
        "log_likelihood": {"y": np.concatenate(log_likelihood, axis=2)},
        "observed_data": {"y": np.asarray(data.y)},
        "constant_data": {"x": np.asarray(data.x)},
    }
    settings = {
        "coords": {"probe": rows, "value": names[moving].tolist()},
        "dims": {"f": ["probe", "value"]},
    }
    groups = {name: group for name, group in groups.items() if group}
    if int(arviz.__version__.split(".")[0]) >= 1:
        return arviz.from_dict(groups, **settings)
    return arviz.from_dict(**groups, **settings)


def _refuse_large(fit: Fit, data: Data, draws: int, limit: int) -> None:
    """Refuse log likelihoods that would take too many bytes, before any of it is computed."""
    chains, each = by_draw.layout(fit.posterior, draws)
    needed = 8 * chains * each * len(data.x)
    if needed > limit:
        raise ValueError(
            f"Expected log likelihoods of at most max_bytes={limit:,} bytes; {chains * each:,} "
            f"draws of {len(data.x):,} rows need {needed:,}. Pass fewer rows, or raise max_bytes."
        )


def _sampled(fit: Fit, weights: bool) -> dict[str, np.ndarray]:
    """Return sampled hyper-parameters, and weights where asked for, by path with dots."""
    drawn = by_draw.weights(fit.posterior) if weights else {}
    if weights and not drawn:
        raise ValueError(
            f"weights=True expects draws of a sampler; {fit.method} has none. Leave it out."
        )
    found = by_draw.hyper_parameters(fit) | drawn
    return {path.replace("/", "."): values for path, values in found.items()}


def _arviz() -> Any:
    try:
        import arviz
    except ImportError as error:
        raise ImportError(
            "to_arviz needs ArviZ, which is not installed. Install the extra: "
            'pip install "posterium[arviz]".'
        ) from error
    return arviz
