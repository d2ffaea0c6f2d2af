r"""Parallel tempering: chains that cross between modes by way of the prior.

.. math:: p_\beta(w) \propto p(w)\, p(y \mid w)^\beta, \qquad 0 = \beta_1 < \dots < \beta_r = 1

Replicas explore every rung of a ladder of inverse temperatures by Hamiltonian Monte Carlo, those at
the foot by independent draws from the prior, and neighbours trade places with a probability that
keeps every rung's target (Swendsen and Wang 1986; Geyer 1991). Even and odd pairs take turns, and
rungs are set so that all swaps succeed as often (Syed, Bouchard-Cote, Deligiannidis and Doucet
2022). What stands at the top is kept.
"""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from posterium._struct import brief, replace, static, struct
from posterium.driver.protocol import Info, Phase
from posterium.evaluate import convergence
from posterium.model import hyper
from posterium.model.data import Batch, Data
from posterium.model.model import Model
from posterium.model.priors.normal import is_proper
from posterium.numerics import trees
from posterium.numerics.mcmc import tempering
from posterium.numerics.mcmc.ladder import Ladder, LadderTuning
from posterium.phases.chains import samples
from posterium.phases.checks import check, check_counts
from posterium.posterior.fit import Verdict
from posterium.posterior.positions import from_prior, function, spread, terms
from posterium.posterior.posterior import Samples

NARROWEST = 1e-12
"""Least variance of a coordinate to begin with; hyper-parameters may all begin at one value."""
SWAPS_OK = 0.1
"""Least rate of swaps between two rungs."""


@struct
class ParallelTempering:
    """Draws from a posterior whose modes lie too far apart for NUTS and HMC to cross between.

    The likelihood alone is tempered, so the foot of the ladder is the prior, which must be proper.
    All replicas move side by side: for up to some hundred weights and rows, and data that a few
    dozen rungs lead to from the prior. Free hyper-parameters are sampled and need a prior.

    ``info["tempering"]`` holds, of every draw with those of the warm-up in front, rates of
    acceptance and of swaps by rung, round trips (replicas that came to the top from the foot), and
    the log evidence by stepping stones so far, in nats, with its standard error between chains.

    Parameters
    ----------
    warmup
        Draws of each chain that tune the ladder and are not kept.
    draws
        Draws kept of each chain.
    chains
        Chains side by side, each with a ladder of its own.
    rungs
        Inverse temperatures from 0, the prior, to 1, the posterior.
    leapfrog
        Leapfrog steps of a transition at most; the mean is half of that.
    thin
        Rounds between two draws that are kept.
    target_accept
        Acceptance rate that the step sizes are steered to.
    """

    warmup: int = static(default=250)
    draws: int = static(default=1000)
    chains: int = static(default=16)
    rungs: int = static(default=12)
    leapfrog: int = static(default=16)
    thin: int = static(default=2)
    target_accept: Any = 0.9

    precision: ClassVar[str] = "float64"

    def __post_init__(self) -> None:
        check_counts(2, rungs=self.rungs)
        check_counts(
            1, warmup=self.warmup, draws=self.draws, chains=self.chains, leapfrog=self.leapfrog,
            thin=self.thin,
        )  # fmt: skip

    def phases(self, model: Model, data: Data) -> tuple[Phase, ...]:
        if not is_proper(model.prior):
            raise ValueError(
                "ParallelTempering expects a proper prior, since its ladder begins there; got "
                f"{brief(model.prior)}, which is flat. Give every weight a positive precision, or "
                "use NUTS(start='network')."
            )
        check(model, data, "prior")
        phase = Tempering(
            self.warmup, self.warmup + self.draws, self.chains, self.rungs, self.leapfrog,
            self.thin, self.target_accept,
        )  # fmt: skip
        return (phase,)


@struct
class TemperingState:
    """Where a tempering stands.

    Parameters
    ----------
    replicas
        Positions (r, c, p) and log densities.
    fixed
        The network's fixed numbers, the same for all replicas.
    ladder
        As tuned so far.
    tuning
        What it is tuned by.
    stones
        Sums for the log evidence.
    rounds
        Rounds played.
    """

    replicas: tempering.Replicas
    fixed: Any
    ladder: Ladder
    tuning: LadderTuning
    stones: tempering.SteppingStones
    rounds: Any


@struct
class Tempering(Phase):
    """Play rounds: first to tune the ladder, then to keep what stands at its top.

    In a round every replica moves, and neighbours swap. Both parts are one phase, so that a round
    is compiled once. Step sizes and masses are tuned at every round of the warm-up, inverse
    temperatures after 1/16, 1/8, 1/4 and 1/2 of it.

    Parameters
    ----------
    warmup
        Draws of each chain that only tune.
    steps
        Draws of each chain, those included.
    chains, rungs
        How many.
    leapfrog
        Leapfrog steps of a transition at most.
    thin
        Rounds between two draws.
    target
        Acceptance rate that step sizes are steered to.
    """

    warmup: int = static()
    steps: int = static()
    chains: int = static()
    rungs: int = static()
    leapfrog: int = static()
    thin: int = static()
    target: Any

    batch_size: ClassVar[None] = None
    name: ClassVar[str] = "tempering"

    def init(self, key: jax.Array, model: Model, data: Data, start: Any) -> TemperingState:
        network_key, draw_key, start_key = jax.random.split(key, 3)
        network = trees.cast(model.network.init(network_key, data.x), data.weight.dtype)
        middle, fixed = trees.vector((network.params, hyper.free(model))), network.state
        keys = jax.random.split(draw_key, self.rungs * self.chains)
        drawn = jax.vmap(lambda key: from_prior(key, model, data, fixed, middle))(keys)
        position = drawn.reshape(self.rungs, self.chains, -1)
        if start is not None:
            draws = spread(start_key, start, self.chains, model)
            fixed = trees.index(draws.weights.state, 0)
            moving = trees.cast((draws.weights.params, draws.raws), data.weight.dtype)
            position = trees.stack(jax.vmap(trees.vector)(moving), self.rungs)
        replicas = tempering.Replicas.at(position, terms(model, data, fixed))
        spreads = jnp.maximum(jnp.var(drawn, axis=0), NARROWEST)
        ladder = Ladder.crowded(self.rungs, spreads)
        return TemperingState(
            replicas, fixed, ladder, LadderTuning.begin(ladder),
            tempering.SteppingStones.begin(replicas), jnp.zeros((), jnp.int32),
        )  # fmt: skip

    def step(
        self, key: jax.Array, state: TemperingState, model: Model, batch: Batch
    ) -> tuple[TemperingState, Info]:
        def one(state: TemperingState, key: jax.Array) -> tuple[TemperingState, Info]:
            state, info = self._round(key, state, model, batch.part)
            tune, count = self._tuned, self._counted
            return jax.lax.cond(state.rounds <= self.warmup * self.thin, tune, count, state, info)

        state, infos = jax.lax.scan(one, state, jax.random.split(key, self.thin))
        data, fixed, replicas = batch.part, state.fixed, state.replicas
        info = {name: jnp.mean(infos[name], axis=0) for name in ("acceptance_rate", "swap_rate")}
        info["diverging"] = jnp.any(infos["diverging"], axis=0)
        info["round_trips"] = jnp.sum(infos["round_trips"], axis=0)
        info["log_evidence"], info["log_evidence_se"] = state.stones.log_evidence()
        info["log_joint"] = replicas.log_prior[-1] + replicas.log_likelihood[-1]
        probes = convergence.probes(data.x)

        def values(position: jax.Array) -> jax.Array:
            weights, here = function(model, data, fixed, position)
            return convergence.function_values(here, weights, probes)

        return state, info | {"probe": jax.vmap(values)(replicas.position[-1])}

    def _round(
        self, key: jax.Array, state: TemperingState, model: Model, data: Data
    ) -> tuple[TemperingState, Info]:
        """Let every replica move, draw those at the foot afresh, and let neighbours swap.

        The number of leapfrog steps goes from 1 to the most, each with even and with odd pairs.
        """
        fixed, ladder, rounds = state.fixed, state.ladder, state.rounds + 1
        keys = jax.random.split(key, self.chains + 1)
        foot = state.replicas.position[0]
        fresh = jax.vmap(lambda key, at: from_prior(key, model, data, fixed, at))(keys[1:], foot)
        normals, for_moves, for_swaps = tempering.noise(keys[0], state.replicas)
        replicas, moved = tempering.explore(
            state.replicas, ladder, terms(model, data, fixed), fresh=fresh, normals=normals,
            exponentials=for_moves, leapfrog=1 + rounds // 2 % self.leapfrog,
        )  # fmt: skip
        replicas, swapped = tempering.swap(replicas, ladder.beta, rounds, for_swaps)
        return replace(state, replicas=replicas, rounds=rounds), moved | swapped

    def _tuned(self, state: TemperingState, info: Info) -> tuple[TemperingState, Info]:
        rounds = self.warmup * self.thin
        renew = jnp.any(state.rounds == np.array([rounds >> i for i in (4, 3, 2, 1)]))
        tuning, ladder = state.tuning.update(
            state.ladder, state.replicas.position, info, target=self.target, renew=renew
        )
        return replace(state, tuning=tuning, ladder=ladder), recorded(info)

    def _counted(self, state: TemperingState, info: Info) -> tuple[TemperingState, Info]:
        stones = state.stones.add(state.replicas, state.ladder.beta)
        return replace(state, stones=stones), recorded(info)

    def keep(self, state: TemperingState) -> jax.Array:
        return state.replicas.position[-1]

    def end(
        self, state: TemperingState, kept: Any, model: Model, data: Data
    ) -> tuple[Samples, Model]:
        return samples(kept[self.warmup :], model, data, state.fixed), model

    def judge(self, info: dict[str, np.ndarray], ended: Any) -> Verdict:
        kept = {name: values[self.warmup :] for name, values in info.items()}
        # A transition that diverges is refused, and swaps take the replica on: no place is missed.
        of_chains = {name: kept[name] for name in ("log_joint", "probe")}
        return Verdict.merge([convergence.judge_chains(of_chains), judge_ladder(kept)])


def recorded(info: Info) -> Info:
    """Return what to record of a round: rates by rung, and what happened at the top by chain."""
    return {
        "acceptance_rate": jnp.mean(info["acceptance_rate"], axis=1),
        "swap_rate": jnp.mean(info["swap_rate"], axis=1),
        "diverging": info["diverging"][-1],
        "round_trips": jnp.asarray(info["round_trips"], jnp.int32),
    }


def judge_ladder(info: dict[str, np.ndarray]) -> Verdict:
    """Warn where replicas hardly get along the ladder: a rung too wide, or no round trips."""
    rate, trips = info["swap_rate"].mean(axis=0).min(), info["round_trips"].sum(axis=0).min()
    if rate >= SWAPS_OK and trips > 0:
        return Verdict()
    reason = (
        f"Replicas hardly get along the ladder: the least rate of swaps is {rate:.2f}, and the "
        f"least of the chains made {trips} round trips from the prior."
    )
    return Verdict("warned", (reason,), ("Give it more rungs, and more draws.",))
