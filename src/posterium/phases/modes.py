r"""Modes: whether chains visited every mode of the posterior that matters.

Chains that agree may agree on the wrong thing: all of them in one of several modes. So the
posterior is climbed from draws of the prior, and from some draws of the chains. Each top with a
function of its own counts as a mode, with the evidence that Laplace's approximation finds there,

.. math:: \log Z_m = \log p(y, w_m) + \tfrac p2 \log 2 \pi - \tfrac12 \log \det H_m

and the verdict tells of one with more than 5 % of their sum to which no draw climbs. Units of a
network can change places without any function changing. Every mode has as many such copies, so one
stands for all: they need no visit, and their number cancels.
"""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
from scipy.special import logsumexp

from posterium._struct import static, struct
from posterium.driver.protocol import Info, Phase
from posterium.evaluate import convergence
from posterium.model import hyper
from posterium.model.data import Batch, Data
from posterium.model.forward import forward
from posterium.model.likelihoods.classes import Bernoulli, Categorical
from posterium.model.model import Model
from posterium.model.priors.gaussian import GaussianPrior
from posterium.model.priors.normal import Normal, is_proper
from posterium.model.subset import blank
from posterium.model.weights import Weights
from posterium.numerics import layers, trees
from posterium.phases.checks import check_counts
from posterium.posterior.fit import Verdict
from posterium.posterior.positions import from_prior, function, target
from posterium.posterior.posterior import Samples

STARTS = 32
"""Draws from the prior that are climbed from, when not told, and draws of the chains."""
MOST_WEIGHTS, MOST_WORK = 200, 2**18
"""Weights, and their square times the rows, up to which modes are looked for when not told."""
CLIMB = 500
"""Steps of a climb."""
RATE = 0.05
"""Highest learning rate of a climb, in standard deviations of the prior."""
MEMORY = 0.9
"""Adam's decay of squared slopes, so that those of a start far out are soon forgotten."""
FLATTEST = 1e-3
"""Least curvature along any direction, as a share of the largest."""
ONE_FUNCTION = 1.0
"""Root mean square gap, in standard deviations of the draws, up to which two functions are one."""
SHARE_OK = 0.05
ROUNDING = 100
"""Times the spacing of numbers: the least sd of draws, which a gap is measured by."""


@struct
class ModesState:
    """What the chains found, and where climbs begin.

    Parameters
    ----------
    samples
        The draws.
    starts
        Weights as vectors, those from the prior first, (m, p).
    """

    samples: Samples
    starts: Any


@struct
class Modes(Phase):
    """Look for modes that chains missed; end with their draws as they are.

    Free hyper-parameters are held at the means of their draws.

    Parameters
    ----------
    count
        Draws from the prior that are climbed from, and draws of the chains.
    """

    count: int = static(default=STARTS)

    steps: ClassVar[int] = 1
    batch_size: ClassVar[None] = None
    name: ClassVar[str] = "modes"

    def init(self, key: jax.Array, model: Model, data: Data, start: Samples) -> ModesState:
        draw_key, key = jax.random.split(key)
        drawn = jax.vmap(trees.vector)(start.sample(draw_key, self.count).weights.params)
        here, fixed = held(model, start)

        def begin(key: jax.Array, like: jax.Array) -> jax.Array:
            return from_prior(key, here, data, fixed, like)

        begun = jax.vmap(begin)(jax.random.split(key, self.count), drawn)
        return ModesState(start, jnp.concatenate([begun, drawn]))

    def step(
        self, key: jax.Array, state: ModesState, model: Model, batch: Batch
    ) -> tuple[ModesState, Info]:
        here, fixed = held(model, state.samples)
        log_density = target(here, batch.part, fixed)
        probes = convergence.probes(batch.part.x)
        scale = jnp.std(state.starts[: self.count], axis=0)

        def loss(z: jax.Array) -> jax.Array:
            return -log_density(scale * z)

        def values(position: jax.Array) -> jax.Array:
            weights, model = function(here, batch.part, fixed, position)
            return convergence.function_values(model, weights, probes)

        tops = climb(loss, state.starts / scale[None])
        log_evidence = jax.vmap(lambda z: laplace(loss, z))(tops) + jnp.sum(jnp.log(scale))
        shown = jnp.concatenate([scale[None] * tops, state.starts[self.count :]])
        found = jax.vmap(values)(shown)
        count = len(tops)
        return state, {"log_evidence": log_evidence, "top": found[:count], "draw": found[count:]}

    def end(self, state: ModesState, kept: Any, model: Model, data: Data) -> tuple[Samples, Model]:
        return state.samples, model

    def judge(self, info: dict[str, np.ndarray], ended: Any) -> Verdict:
        return judge_modes(*(info[name][-1] for name in ("log_evidence", "top", "draw")))


def check_modes(count: int | None, model: Model, data: Data) -> tuple[Phase, ...]:
    """Return the phase that follows a sampler; none for a count of 0.

    None looks for modes of small networks under a Gaussian prior, where that takes no time and
    there may be several.
    """
    check_counts(0, modes=0 if count is None else count)
    if count is None:
        weights = blank(model.network, data.x)
        size = trees.count(weights.params)
        small = size <= MOST_WEIGHTS and size**2 * len(data.x) <= MOST_WORK
        gaussian = isinstance(model.prior, Normal | GaussianPrior) and is_proper(model.prior)
        looked = small and gaussian and not has_one_mode(model, weights, data)
        count = STARTS if looked else 0
    return (Modes(count),) if count else ()


def has_one_mode(model: Model, weights: Weights, data: Data) -> bool:
    """Say whether the log joint is concave: a linear model under a log-concave likelihood."""
    likelihood = model.likelihood
    if not likelihood.linear_mean and not isinstance(likelihood, Bernoulli | Categorical):
        return False
    f, params = forward(model.network, weights), weights.params
    return set(layers.last_layer(f, params, data.x[:1])) == set(trees.flatten(params))


def held(model: Model, samples: Samples) -> tuple[Model, Any]:
    """Return the model at the mean of its sampled hyper-parameters, and the network's state."""
    raws = jax.tree.map(lambda leaf: jnp.mean(leaf, axis=(0, 1)), samples.draws.raws)
    state = jax.tree.map(lambda leaf: leaf[0, 0], samples.draws.weights.state)
    return hyper.fix(hyper.fill(model, raws)), state


def climb(loss: Any, starts: jax.Array) -> jax.Array:
    """Descend a loss from starts (m, p) side by side, by Adam with steps that shrink to 0."""
    optimiser = optax.adam(optax.cosine_decay_schedule(RATE, CLIMB), b2=MEMORY)
    slope = jax.vmap(jax.grad(loss))

    def move(_: Any, at: Any) -> Any:
        z, memory = at
        by, memory = optimiser.update(slope(z), memory)
        return z + by, memory

    return jax.lax.fori_loop(0, CLIMB, move, (starts, optimiser.init(starts)))[0]


def laplace(loss: Any, z: jax.Array) -> jax.Array:
    """Return Laplace's log evidence around a top (p,) in nats.

    At kinks the curvature may have any sign; its size is taken, and no less than a thousandth of
    the largest.
    """
    sizes = jnp.abs(jnp.linalg.eigvalsh(jax.hessian(loss)(z)))
    sizes = jnp.maximum(sizes, FLATTEST * jnp.max(sizes))
    return -loss(z) + 0.5 * jnp.sum(jnp.log(2 * jnp.pi / sizes))


def judge_modes(log_evidence: np.ndarray, values: np.ndarray, drawn: np.ndarray) -> Verdict:
    """Warn of modes with a share of the evidence at which no draw arrives.

    Parameters
    ----------
    log_evidence
        Of each top in nats, those climbed to from draws last, (m,).
    values
        What its function predicts at probes, (m, q, k).
    drawn
        What the draws predict there, (d, q, k).
    """
    rounding = ROUNDING * np.finfo(drawn.dtype).eps * np.max(np.abs(drawn), axis=0)
    size = np.maximum(np.std(drawn, axis=0), rounding)
    size = np.where(size > 0, size, np.inf)
    known = np.isfinite(log_evidence) & np.isfinite(values).all(axis=(1, 2))
    from_draws = np.arange(len(values)) >= len(values) - len(drawn)
    modes, visited = [], []
    for i in sorted(np.flatnonzero(known), key=lambda i: -log_evidence[i]):
        gaps = [np.sqrt(np.mean(((values[i] - values[m]) / size) ** 2)) for m in modes]
        near = [m for m, gap in enumerate(gaps) if gap < ONE_FUNCTION]
        if not near:
            modes.append(i)
            visited.append(False)
        visited[near[0] if near else -1] |= from_draws[i]
    share = np.exp(log_evidence[modes] - logsumexp(log_evidence[modes])) if modes else np.zeros(0)
    missed = share[~np.array(visited, bool)]
    if not np.any(missed > SHARE_OK):
        return Verdict()
    reason = (
        f"No chain visits {np.sum(missed > SHARE_OK)} of the modes found from draws of the prior; "
        f"by Laplace's approximation they hold about {missed[missed > SHARE_OK].sum():.0%} of the "
        "posterior."
    )
    return Verdict("warned", (reason,), ("Use ParallelTempering(), which crosses between modes.",))
