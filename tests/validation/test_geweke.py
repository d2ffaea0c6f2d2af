"""Geweke's joint-distribution test of every kernel, and of kernels with a planted error."""

import numpy as np
import pytest
from tests.validation import geweke
from tests.validation.record import recorded

from posterium.numerics.mcmc import hamiltonian, microcanonical

LIMIT = 4
KERNELS = {
    "no-U-turn": geweke.by(hamiltonian.NoUTurn(4), 0.4),
    "Hamiltonian trajectory": geweke.by(hamiltonian.Trajectory(4), 0.7),
    "shares of a trajectory": geweke.by_share(0.7, 2.0),
    "adjusted microcanonical": geweke.by(microcanonical.Isokinetic(), 0.8, 2.0),
    "tempering with swaps": geweke.by_round(),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_leaves_the_joint_distribution_as_it_is(name):
    with recorded("S7", name) as figures:
        errors = geweke.errors(KERNELS[name])
        figures |= {"N": geweke.REPLICAS * geweke.TURNS, "largest z": float(np.abs(errors).max())}
        assert np.abs(errors).max() < LIMIT, errors


@pytest.mark.slow
def test_an_unadjusted_step_is_off_by_a_bias_that_falls_with_its_size():
    with recorded("S7", "unadjusted microcanonical") as figures:
        for size in (1.0, 0.25):
            errors = geweke.errors(geweke.by(microcanonical.Langevin(), size, 2.0))
            figures[f"largest z at step {size}"] = float(np.abs(errors).max())
        coarse, fine = figures.values()
        assert coarse > LIMIT
        assert fine < LIMIT


def accepted_too_often(monkeypatch):
    from blackjax.mcmc import hmc

    def planted(key, log_p_accept, *proposals):
        return hmc.static_binomial_sampling(key, 0.5 * log_p_accept, *proposals)

    monkeypatch.setitem(hmc.hmc_proposal.__kwdefaults__, "sample_proposal", planted)
    return geweke.by(hamiltonian.Trajectory(4), 0.7)


def momenta_of_another_mass(monkeypatch):
    from blackjax.mcmc import metrics

    honest = metrics.default_metric

    def planted(inverse_mass):
        metric = honest(inverse_mass)
        draw = metric.sample_momentum
        return metric._replace(sample_momentum=lambda key, at: 1.2 * draw(key, at))

    monkeypatch.setattr(metrics, "default_metric", planted)
    return geweke.by(hamiltonian.NoUTurn(4), 0.4)


PLANTED = {
    "trajectories accepted too often": accepted_too_often,
    "no-U-turn with momenta of another mass": momenta_of_another_mass,
    "replicas moved too often": lambda _: geweke.by_round(refusals=2),
    "replicas with momenta of another mass": lambda _: geweke.by_round(mass=1.2),
    "replicas swapped always": lambda _: geweke.by_round(swap_refusals=np.inf),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_error_of_a_kernel_is_found(name, monkeypatch):
    with recorded("S7", f"planted: {name}") as figures:
        errors = geweke.errors(PLANTED[name](monkeypatch))
        figures |= {"N": geweke.REPLICAS * geweke.TURNS, "largest z": float(np.abs(errors).max())}
        assert np.abs(errors).max() > LIMIT, errors
