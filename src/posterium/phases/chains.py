"""Chains: the two phases that samplers share, warm-up and sampling.

Several chains run side by side, each with its own step size and mass, or all with the same. They
move in the weights and the free hyper-parameters together, by the log joint of all rows:

    log p(w, raw) = log prior(w) + log prior(raw) + sum_i log p(y_i | f(x_i; w))
"""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from posterium._struct import replace, static, struct
from posterium.driver.protocol import Info, Phase
from posterium.evaluate import convergence
from posterium.model.data import Batch, Data
from posterium.model.model import Model
from posterium.model.weights import Weights
from posterium.numerics import trees
from posterium.numerics.mcmc.base import LogDensity, Pace, each, gathered
from posterium.posterior.fit import Verdict
from posterium.posterior.positions import (
    Coordinates,
    coordinates,
    function,
    opening,
    origins,
    spread,
    target,
    unraveller,
)
from posterium.posterior.posterior import Draw, Samples


@struct
class Tuned:
    """Chains that are ready to sample.

    Parameters
    ----------
    chain
        Position (c, p), log density and gradient of every chain.
    fixed
        The network's fixed numbers, the same for all chains: they belong to the model.
    origin
        For each chain the first one that began at the same point, (c,).
    pace
        How each chain moves, (c, ...).
    coordinates
        `Coordinates` in which each chain moves, (c, ...), or None for those of the weights.
    """

    chain: Any
    fixed: Any
    origin: Any
    pace: Any
    coordinates: Any = None


@struct
class WarmUpState:
    """Where a warm-up stands.

    Parameters
    ----------
    chain
        Position (c, p), log density and gradient of every chain.
    fixed
        The network's fixed numbers, the same for all chains: they belong to the model.
    origin
        For each chain the first one that began at the same point, (c,).
    adaptation
        Step sizes and masses so far, by chain.
    taken
        Transitions made.
    coordinates
        `Coordinates` in which each chain moves, (c, ...), or None for those of the weights.
    memory
        What the adaptation holds of all chains beside their states, or None.
    """

    chain: Any
    fixed: Any
    origin: Any
    adaptation: Any
    taken: Any
    coordinates: Any = None
    memory: Any = None


@struct
class WarmUp(Phase):
    """Walk to where the mass is, and adapt how chains move, by stages of a schedule.

    Parameters
    ----------
    kernel
        Makes the transitions, for example `hamiltonian.NoUTurn`.
    adaptation
        `windows.Windows`, `tuning.Tuning` or `chees.CrossChain`: what to steer to, and which mass.
    steps
        Transitions.
    chains
        How many run side by side.
    start
        ``"prior"`` or ``"network"``: where chains begin when nothing else is given.
    preconditioned
        Whether chains move in coordinates in which the Gaussian they start from is a unit normal.
    """

    kernel: Any
    adaptation: Any
    steps: int = static(default=1000)
    chains: int = static(default=4)
    start: str = static(default="prior")
    preconditioned: bool = static(default=False)

    batch_size: ClassVar[None] = None
    name: ClassVar[str] = "warmup"

    @property
    def spreadable(self) -> int:
        """All chains: they go over devices inside a step."""
        return self.chains

    def init(self, key: jax.Array, model: Model, data: Data, start: Any) -> WarmUpState:
        keys = jax.random.split(key, self.chains + 1)
        moved = coordinates(start, self.chains) if self.preconditioned else None
        if start is None:
            network = trees.cast(model.network.init(keys[-1], data.x), data.weight.dtype)
            begin = jax.vmap(lambda key: opening(key, model, data, self.start, network))
            position, fixed = begin(keys[:-1]), network.state
        else:
            draws = spread(keys[-1], start, self.chains, model)
            fixed = trees.index(draws.weights.state, 0)
            moving = trees.cast((draws.weights.params, draws.raws), data.weight.dtype)
            position = jax.vmap(trees.vector)(moving)
        if moved is not None:
            z = jax.vmap(lambda key: jax.random.normal(key, moved.mean.shape[1:]))(keys[:-1])
            count = z.shape[1]
            position = jnp.concatenate([z.astype(position.dtype), position[:, count:]], axis=1)
        log_density = target(model, data, fixed)

        def first(key: jax.Array, z: jax.Array, moved: Any) -> Any:
            own = jax.random.split(key)[0]
            return self.kernel.first_state(own, z, within(log_density, moved))

        chain = jax.vmap(first)(keys[:-1], position, moved)
        known, (chains, size) = self.preconditioned, position.shape
        begun = trees.stack(self.adaptation.init(size, self.steps, known=known), chains)
        memory = self.adaptation.memory(chains, size, self.steps, known=known)
        none = jnp.zeros((), jnp.int32)
        return WarmUpState(chain, fixed, origins(position), begun, none, moved, memory)

    def step(
        self, key: jax.Array, state: WarmUpState, model: Model, batch: Batch
    ) -> tuple[WarmUpState, Info]:
        schedule = self.adaptation.schedule(self.steps, known=self.preconditioned)
        stage = jnp.asarray(schedule)[state.taken]
        return warm_up(self.kernel, self.adaptation, stage, key, state, model, batch.part)

    def keep(self, state: WarmUpState) -> jax.Array | None:
        return self.adaptation.trace(state.chain.position)

    def end(self, state: WarmUpState, kept: Any, model: Model, data: Data) -> tuple[Tuned, Model]:
        adapted, traced = gathered((state.adaptation, kept))
        pace = jax.vmap(self.adaptation.result, in_axes=(0, 1))(adapted, traced)
        return Tuned(state.chain, state.fixed, state.origin, pace, state.coordinates), model

    def present(self, state: WarmUpState, kept: Any, model: Model, data: Data) -> tuple[Any, Model]:
        return None, model


@struct
class Sampling(Phase):
    """Make transitions with step size and mass as they are, and keep every draw.

    Parameters
    ----------
    kernel
        Makes the transitions, for example `hamiltonian.NoUTurn`.
    steps
        Draws of each chain.
    chains
        How many run side by side.
    thin
        Transitions between two draws that are kept.
    apart
        Whether chains may hold modes of their own: a warning then, and no failure.
    """

    kernel: Any
    steps: int = static(default=1000)
    chains: int = static(default=4)
    thin: int = static(default=1)
    apart: bool = static(default=False)

    batch_size: ClassVar[None] = None
    name: ClassVar[str] = "sampling"

    @property
    def spreadable(self) -> int:
        """All chains: they go over devices inside a step."""
        return self.chains

    def init(self, key: jax.Array, model: Model, data: Data, start: Any) -> Tuned:
        return start

    def step(self, key: jax.Array, state: Tuned, model: Model, batch: Batch) -> tuple[Tuned, Info]:
        keys = jax.random.split(key, (self.chains, self.thin))
        return sample(self.kernel, keys, state, model, batch.part)

    def keep(self, state: Tuned) -> jax.Array:
        return jax.vmap(place)(state.coordinates, state.chain.position)

    def end(self, state: Tuned, kept: Any, model: Model, data: Data) -> tuple[Samples, Model]:
        return samples(kept, model, data, state.fixed), model

    def judge(self, info: dict[str, np.ndarray], ended: Any) -> Verdict:
        return convergence.judge_chains(info, apart=self.apart)


def chained(sampler: Any, kernel: Any, adaptation: Any) -> tuple[Phase, Phase]:
    """Return warm-up and sampling with the settings of a sampler."""
    known = sampler.mass == "start"
    return (
        WarmUp(kernel, adaptation, sampler.warmup, sampler.chains, sampler.start, known),
        Sampling(
            kernel, sampler.draws, sampler.chains, sampler.thin, getattr(sampler, "apart", False)
        ),
    )


@jax.jit
def warm_up(
    kernel: Any,
    adaptation: Any,
    stage: jax.Array,
    key: jax.Array,
    state: WarmUpState,
    model: Model,
    data: Data,
) -> tuple[WarmUpState, Info]:
    """Make one transition of every chain, and adapt. Jitted so that it is traced once only."""

    def one(key: jax.Array, chain: Any, adapted: Any, moved: Any) -> tuple[Any, Any, Info]:
        pace = adaptation.in_force(adapted)
        log_density = within(target(model, data, state.fixed), moved)
        chain, info = kernel.step(key, chain, log_density, pace)
        info |= {"step_size": pace.step_size, "log_joint": chain.logdensity}
        return chain, adaptation.update(adapted, stage, chain, info), info

    keys = jax.random.split(key, trees.leading_size(state.chain))
    chain, adapted, info = each(one, keys, state.chain, state.adaptation, state.coordinates)
    adapted, memory = adaptation.pooled(adapted, state.memory, stage, chain, info)
    taken = state.taken + 1
    return replace(state, chain=chain, adaptation=adapted, taken=taken, memory=memory), info


@jax.jit
def sample(
    kernel: Any, keys: jax.Array, state: Tuned, model: Model, data: Data
) -> tuple[Tuned, Info]:
    """Make transitions of every chain, a key (c, t) each, and evaluate its function at probes."""
    probes = convergence.probes(data.x)

    def one(keys: jax.Array, chain: Any, pace: Pace, moved: Any) -> tuple[Any, Info]:
        log_density = within(target(model, data, state.fixed), moved)

        def move(chain: Any, key: jax.Array) -> tuple[Any, Info]:
            return kernel.step(key, chain, log_density, pace)

        chain, infos = jax.lax.scan(move, chain, keys)
        info = {name: summed(name, values) for name, values in infos.items()}
        weights, here = function(model, data, state.fixed, place(moved, chain.position))
        info |= {"step_size": pace.step_size, "log_joint": chain.logdensity}
        return chain, info | {"probe": convergence.function_values(here, weights, probes)}

    chain, info = each(one, keys, state.chain, state.pace, state.coordinates)
    return replace(state, chain=chain), info | {"origin": state.origin}


def samples(positions: jax.Array, model: Model, data: Data, fixed: Any) -> Samples:
    """Return draws from the positions of chains, step by step, (s, c, p)."""
    unravel = unraveller(model, data)

    def one(position: jax.Array) -> Draw:
        params, raws = unravel(position)
        return Draw(Weights(params, fixed), raws)

    return Samples(jax.vmap(jax.vmap(one, in_axes=0), in_axes=1)(positions))


def place(coordinates: Coordinates | None, z: jax.Array) -> jax.Array:
    """Return the position of a chain that moves in coordinates, or in those of the weights."""
    return z if coordinates is None else coordinates.position(z)


def within(log_density: LogDensity, coordinates: Coordinates | None) -> LogDensity:
    """Return the log joint as a function of the coordinates; the volume's change is constant."""
    return lambda z: log_density(place(coordinates, z))


def summed(name: str, values: jax.Array) -> jax.Array:
    """Return what to record of several transitions between two draws."""
    if name in ("acceptance_rate", "energy_variance"):
        return jnp.mean(values)
    if name in ("diverging", "reached_max_depth", "reached_max_length"):
        return jnp.any(values)
    return jnp.sum(values) if name == "n_steps" else values[-1]
