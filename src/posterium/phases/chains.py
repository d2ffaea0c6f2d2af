"""Chains: the two phases that Hamiltonian samplers share, warm-up and sampling.

Several chains run side by side, each with its own step size and mass. They move in the weights
and the free hyper-parameters together, by the log joint of all rows:

    log p(w, raw) = log prior(w) + log prior(raw) + sum_i log p(y_i | f(x_i; w))
"""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from posterium._struct import replace, static, struct
from posterium.driver.protocol import Info, Phase
from posterium.evaluate import convergence
from posterium.model import hyper
from posterium.model.data import Batch, Data, Stream
from posterium.model.model import Model
from posterium.model.priors.normal import Flat
from posterium.model.weights import Weights
from posterium.numerics import trees
from posterium.numerics.mcmc import hamiltonian
from posterium.phases.descent import check_counts
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

STARTS = ("prior", "network")
MASSES = ("diagonal", "dense", "start")

WINDOWS = 150
"""Transitions that Stan's windows need: 75 to arrive, 25 for one window, 50 for the step size."""


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
    step_size
        Step sizes, (c,).
    inverse_mass
        Inverse masses, (c, p) or (c, p, p).
    coordinates
        `Coordinates` in which each chain moves, (c, ...), or None for those of the weights.
    """

    chain: Any
    fixed: Any
    origin: Any
    step_size: Any
    inverse_mass: Any
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
    """

    chain: Any
    fixed: Any
    origin: Any
    adaptation: Any
    taken: Any
    coordinates: Any = None


@struct
class WarmUp(Phase):
    """Walk to where the mass is, and adapt step size and mass matrix in Stan's windows.

    Parameters
    ----------
    kernel
        `hamiltonian.NoUTurn` or `hamiltonian.Trajectory`.
    adaptation
        What to steer to, and which mass.
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
    adaptation: hamiltonian.Adaptation = hamiltonian.Adaptation()
    steps: int = static(default=1000)
    chains: int = static(default=4)
    start: str = static(default="prior")
    preconditioned: bool = static(default=False)

    batch_size: ClassVar[None] = None
    name: ClassVar[str] = "warmup"

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
        first = jax.vmap(lambda z, moved: hamiltonian.first_state(z, within(log_density, moved)))
        adaptation = trees.stack(self.adaptation.init(position.shape[1]), self.chains)
        none = jnp.zeros((), jnp.int32)
        return WarmUpState(
            first(position, moved), fixed, origins(position), adaptation, none, moved
        )

    def step(
        self, key: jax.Array, state: WarmUpState, model: Model, batch: Batch
    ) -> tuple[WarmUpState, Info]:
        stage = jnp.asarray(self._schedule())[state.taken]
        return warm_up(self.kernel, self.adaptation, stage, key, state, model, batch.part)

    def _schedule(self) -> np.ndarray:
        """Return the windows of adaptation; with a mass that is known, none unless all fit."""
        if self.preconditioned and self.steps < WINDOWS:
            return np.zeros((self.steps, 2), np.int32)
        return hamiltonian.schedule(self.steps)

    def end(self, state: WarmUpState, kept: Any, model: Model, data: Data) -> tuple[Tuned, Model]:
        tuned = jax.vmap(self.adaptation.result)(state.adaptation)
        return Tuned(state.chain, state.fixed, state.origin, *tuned, state.coordinates), model


@struct
class Sampling(Phase):
    """Make transitions with step size and mass as they are, and keep every draw.

    Parameters
    ----------
    kernel
        `hamiltonian.NoUTurn` or `hamiltonian.Trajectory`.
    steps
        Draws of each chain.
    chains
        How many run side by side.
    thin
        Transitions between two draws that are kept.
    """

    kernel: Any
    steps: int = static(default=1000)
    chains: int = static(default=4)
    thin: int = static(default=1)

    batch_size: ClassVar[None] = None
    name: ClassVar[str] = "sampling"

    def init(self, key: jax.Array, model: Model, data: Data, start: Any) -> Tuned:
        return start

    def step(self, key: jax.Array, state: Tuned, model: Model, batch: Batch) -> tuple[Tuned, Info]:
        keys = jax.random.split(key, (self.chains, self.thin))
        return sample(self.kernel, keys, state, model, batch.part)

    def keep(self, state: Tuned) -> jax.Array:
        return jax.vmap(place)(state.coordinates, state.chain.position)

    def end(self, state: Tuned, kept: Any, model: Model, data: Data) -> tuple[Samples, Model]:
        unravel = unraveller(model, data)

        def one(position: jax.Array) -> Draw:
            params, raws = unravel(position)
            return Draw(Weights(params, state.fixed), raws)

        return Samples(jax.vmap(jax.vmap(one, in_axes=0), in_axes=1)(kept)), model

    def judge(self, info: dict[str, np.ndarray], ended: Any) -> Verdict:
        return convergence.judge_chains(info)


@jax.jit
def warm_up(
    kernel: Any,
    adaptation: hamiltonian.Adaptation,
    stage: jax.Array,
    key: jax.Array,
    state: WarmUpState,
    model: Model,
    data: Data,
) -> tuple[WarmUpState, Info]:
    """Make one transition of every chain, and adapt. Jitted so that it is traced once only."""

    def one(key: jax.Array, chain: Any, adapted: Any, moved: Any) -> tuple[Any, Any, Info]:
        step_size, inverse_mass = adaptation.in_force(adapted)
        log_density = within(target(model, data, state.fixed), moved)
        chain, info = kernel.step(key, chain, log_density, step_size, inverse_mass)
        info |= {"step_size": step_size, "log_joint": chain.logdensity}
        adapted = adaptation.update(adapted, stage, chain.position, info["acceptance_rate"])
        return chain, adapted, info

    keys = jax.random.split(key, trees.leading_size(state.chain))
    chain, adapted, info = hamiltonian.each(
        one, keys, state.chain, state.adaptation, state.coordinates
    )
    return replace(state, chain=chain, adaptation=adapted, taken=state.taken + 1), info


@jax.jit
def sample(
    kernel: Any, keys: jax.Array, state: Tuned, model: Model, data: Data
) -> tuple[Tuned, Info]:
    """Make transitions of every chain, a key (c, t) each, and evaluate its function at probes."""
    probes = convergence.probes(data.x)

    def one(
        keys: jax.Array, chain: Any, step_size: Any, inverse_mass: Any, moved: Any
    ) -> tuple[Any, Info]:
        log_density = within(target(model, data, state.fixed), moved)

        def move(chain: Any, key: jax.Array) -> tuple[Any, Info]:
            return kernel.step(key, chain, log_density, step_size, inverse_mass)

        chain, infos = jax.lax.scan(move, chain, keys)
        info = {name: summed(name, values) for name, values in infos.items()}
        weights, here = function(model, data, state.fixed, place(moved, chain.position))
        info |= {"step_size": step_size, "log_joint": chain.logdensity}
        return chain, info | {"probe": convergence.function_values(here, weights, probes)}

    chain, info = hamiltonian.each(
        one, keys, state.chain, state.step_size, state.inverse_mass, state.coordinates
    )
    return replace(state, chain=chain), info | {"origin": state.origin}


def place(coordinates: Coordinates | None, z: jax.Array) -> jax.Array:
    """Return the position of a chain that moves in coordinates, or in those of the weights."""
    return z if coordinates is None else coordinates.position(z)


def within(
    log_density: hamiltonian.LogDensity, coordinates: Coordinates | None
) -> hamiltonian.LogDensity:
    """Return the log joint as a function of the coordinates; the volume's change is constant."""
    return lambda z: log_density(place(coordinates, z))


def summed(name: str, values: jax.Array) -> jax.Array:
    """Return what to record of several transitions between two draws."""
    if name == "acceptance_rate":
        return jnp.mean(values)
    if name in ("diverging", "reached_max_depth"):
        return jnp.any(values)
    return jnp.sum(values) if name == "n_steps" else values[-1]


def check(model: Model, data: Data, start: str) -> None:
    """Refuse what these samplers cannot do.

    Raises
    ------
    ValueError
        For a stream, a free hyper-parameter without a prior, a flat prior to start from, or a
        network whose state changes in training.
    """
    if isinstance(data, Stream):
        raise ValueError(
            "This sampler expects data in memory, because every transition goes over all rows; "
            "got a stream. Use as_data(x, y), or MAP, Laplace or VI, which take streams."
        )
    if any(h.prior is None for h in hyper.learned(model)):
        raise ValueError(
            "A sampler expects a prior for every free hyper-parameter; at least one has none. Give "
            "it one, as in Gaussian(learn(1.0, prior=HalfNormal(1.0))), or fix its value."
        )
    parts = jax.tree.leaves(model.prior, is_leaf=lambda part: isinstance(part, Flat))
    if start == "prior" and any(isinstance(part, Flat) for part in parts):
        raise ValueError(
            "start='prior' needs a proper prior of all weights; got one that is Flat(), or has "
            "such a part. Use start='network'."
        )
    _check_state(model, data)


def _check_state(model: Model, data: Data) -> None:
    def changed(key: jax.Array, data: Data) -> Any:
        weights = trees.cast(model.network.init(key, data.x), data.weight.dtype)
        after = jax.tree.leaves(model.network.apply(weights, data.x, train=True)[1])
        same = [a is b for a, b in zip(jax.tree.leaves(weights.state), after, strict=False)]
        found.append(not all(same) or weights.key is not None)
        return key

    found: list[bool] = []
    jax.eval_shape(changed, jax.random.key(0), data)
    if found[0]:
        raise ValueError(
            "A sampler expects a network without running statistics and without noise of its own; "
            "this one changes its state in training, as batch norm does, or draws a dropout mask. "
            "Use layer norm instead, as in MLP(layer_norm=True), or MAP in an Ensemble."
        )


def check_settings(start: str, mass: str, **counts: int) -> None:
    """Refuse settings of a sampler that make no sense."""
    if start not in STARTS:
        raise ValueError(f"start must be 'prior' or 'network'; got {start!r}.")
    if mass not in MASSES:
        raise ValueError(f"mass must be 'diagonal', 'dense' or 'start'; got {mass!r}.")
    check_counts(**counts)
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name} must be at least 1; got {count}.")
