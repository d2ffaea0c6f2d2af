"""The tuning of microcanonical chains: stage by stage the numbers of BlackJAX's own tuner."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from blackjax.adaptation import mclmc_adaptation
from blackjax.mcmc import mclmc

from posterium._struct import replace
from posterium.numerics.mcmc import tuning
from posterium.numerics.mcmc.base import Pace
from posterium.numerics.mcmc.microcanonical import Isokinetic, Langevin
from posterium.numerics.mcmc.tuning import Acceptance, EnergyError, Tuning

SIZE, STEPS = 5, 600
START = jax.random.key(0)
SCALES = np.array([0.1, 0.3, 1.0, 2.0, 5.0])
KERNEL, LANGEVIN = Langevin(), Tuning(EnergyError())


def correlated(z: jax.Array) -> jax.Array:
    """A Gaussian log density whose first two coordinates go together."""
    u = z / SCALES
    return -0.5 * jnp.sum(u**2) - 0.6 * u[0] * u[1]


def walked(keys, kernel=KERNEL, adaptation=LANGEVIN, density=correlated, stages=None):
    """Return state, tuning, positions and records of a chain that tunes, a key a step."""

    def step(carry, of_step):
        chain, state = carry
        key, stage = of_step
        chain, info = kernel.step(key, chain, density, adaptation.in_force(state))
        state = adaptation.update(state, stage, chain, info)
        return (chain, state), (chain.position, info)

    chain = kernel.first_state(START, jnp.ones(SIZE), density)
    stages = adaptation.schedule(len(keys), known=False) if stages is None else stages
    begun = adaptation.init(SIZE, len(keys), known=False)
    (chain, state), (positions, info) = jax.lax.scan(
        step, (chain, begun), (keys, jnp.asarray(stages))
    )
    return chain, state, positions, info


@pytest.fixture(scope="module", autouse=True)
def in_float64():
    with jax.enable_x64(True):
        yield


def test_step_size_and_mass_are_those_of_blackjax_given_the_same_noise():
    adapt = mclmc_adaptation.make_L_step_size_adaptation(
        mclmc.build_kernel(), correlated, SIZE, 0.2, 0.3, True, 5e-4
    )
    first = mclmc.init(jnp.ones(SIZE), correlated, START)
    begun = mclmc_adaptation.MCLMCAdaptationState(
        SIZE**0.5, SIZE**0.5 * 0.25, inverse_mass_matrix=jnp.ones(SIZE)
    )
    theirs, params = jax.jit(adapt, static_argnums=2)(first, begun, STEPS, START)
    keys = jax.random.split(START, 301)
    keys = jnp.concatenate([keys[:-1], jax.random.split(keys[-1], 60)])
    keys = jax.vmap(lambda key: jax.random.split(jax.random.split(key)[0], 3)[0])(keys)
    stages = np.zeros((360, 2), np.int32)
    stages[120:300, 0], stages[299, 1] = 1, 1
    alike = Tuning(EnergyError(begin=0.25, growth=np.inf))
    run = jax.jit(lambda keys: walked(keys, adaptation=alike, stages=stages))
    ours, state, *_ = run(keys)
    np.testing.assert_allclose(ours.position, theirs.position, rtol=1e-8)
    np.testing.assert_allclose(state.pace.step_size, params.step_size, rtol=1e-8)
    np.testing.assert_allclose(state.pace.inverse_mass, params.inverse_mass_matrix, rtol=1e-8)
    np.testing.assert_allclose(state.pace.length, params.L)


@pytest.mark.slow
def test_the_length_is_that_of_blackjax_given_the_same_draws():
    key, count = jax.random.key(1), round(tuning.THIRD * STEPS)
    pace = Pace(jnp.array(0.7), jnp.asarray(SCALES**2), jnp.array(SIZE**0.5))
    kernel = mclmc.build_kernel()
    params = mclmc_adaptation.MCLMCAdaptationState(pace.length, pace.step_size, pace.inverse_mass)
    first = mclmc.init(jnp.zeros(SIZE), correlated, key)
    adapt = mclmc_adaptation.make_adaptation_L(kernel, correlated, tuning.THIRD, 0.4)
    theirs = jax.jit(adapt, static_argnums=2)(first, params, STEPS, key)[1].L

    def move(chain, key):
        chain, _ = KERNEL.step(jax.random.split(key, 3)[0], chain, correlated, pace)
        return chain, LANGEVIN.trace(chain.position)

    traced = jax.jit(lambda keys: jax.lax.scan(move, first, keys)[1])(jax.random.split(key, count))
    before = jnp.full((STEPS - count, SIZE), 1e3)
    state = replace(LANGEVIN.init(SIZE, STEPS, known=True), pace=pace)
    ours = LANGEVIN.result(state, jnp.concatenate([before, traced]))
    np.testing.assert_allclose(ours.length, theirs, rtol=1e-8)
    assert np.array_equal(ours.inverse_mass, pace.inverse_mass)


@pytest.mark.slow
def test_the_energy_error_is_steered_to_its_target():
    target = 2e-3
    adaptation = Tuning(EnergyError(target))
    run = jax.jit(jax.vmap(lambda keys: walked(keys, adaptation=adaptation)[3]))
    found = np.asarray(run(jax.random.split(jax.random.key(2), (16, STEPS)))["energy_variance"])
    late = found[:, -200:].mean(axis=1)
    assert abs(late.mean() - target) < 4 * late.std(ddof=1) / 4 + 0.3 * target


@pytest.mark.slow
def test_acceptance_is_steered_to_its_target_and_the_mass_to_the_variances():
    adaptation = Tuning(Acceptance(0.8))
    run = jax.jit(jax.vmap(lambda keys: walked(keys, Isokinetic(), adaptation)[1:]))
    state, _, info = run(jax.random.split(jax.random.key(3), (16, STEPS)))
    late = np.asarray(info["acceptance_rate"])[:, -200:].mean(axis=1)
    assert abs(late.mean() - 0.8) < 4 * late.std(ddof=1) / 4 + 0.02
    exact = np.linalg.inv(-np.asarray(jax.hessian(correlated)(jnp.zeros(SIZE)))).diagonal()
    ratio = np.log(np.asarray(state.pace.inverse_mass) / exact)
    assert np.abs(ratio.mean(axis=0) / (ratio.std(axis=0, ddof=1) / 4)).max() < 5
    assert np.allclose(state.pace.length, SIZE**0.5)


def test_a_step_that_is_lost_bounds_the_step_size():
    def walled(z):
        return jnp.where(jnp.abs(z).max() < 2, -0.5 * jnp.sum(z**2), -jnp.inf)

    keys = jax.random.split(jax.random.key(4), STEPS)
    _, state, positions, info = jax.jit(lambda keys: walked(keys, density=walled))(keys)
    assert info["diverging"].any()
    assert np.abs(positions).max() < 2
    assert np.isfinite(state.pace.step_size)
    assert np.array_equal(
        info["energy_variance"][info["diverging"]], 0 * info["energy_variance"][info["diverging"]]
    )


def test_stages_follow_one_another_and_a_known_mass_is_kept():
    stages = LANGEVIN.schedule(100, known=False)
    assert stages[:, 0].tolist() == [0] * 20 + [1] * 30 + [0] * 50
    assert stages[:, 1].nonzero()[0].tolist() == [29, 49]
    assert not LANGEVIN.schedule(100, known=True).any()
    assert LANGEVIN.trace(np.zeros((2, 1000))).shape == (2, tuning.TRACED)
