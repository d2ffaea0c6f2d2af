"""The recipes of VI fail when an error is planted in them."""

import jax
import numpy as np
import pytest

import posterium as ps
from posterium import recipes
from posterium._struct import replace
from posterium.phases.bound import Bound
from posterium.recipes import r0_vi, r1_more_alpha, r1_multimodal, r1_relu4, r2_anneal, steps

KEY = jax.random.key(0)


def gates(id):
    return recipes.run(id, fast=True)["gates"]


def test_a_watched_fit_is_the_same_and_its_last_step_is_where_it_ends():
    """But for rounding: another program may add up in another order."""

    def same(fit, other):
        for one, two in zip(
            *(jax.tree.leaves(f.posterior.mode()) for f in (fit, other)), strict=True
        ):
            np.testing.assert_allclose(one, two, rtol=1e-6, atol=1e-7)

    x = np.linspace(-1, 1, 9)[:, None]
    model = ps.Model(ps.MLP(hidden=(3,)), ps.Normal(), ps.Gaussian(0.5))
    data, method = ps.as_data(x, x[:, 0]), ps.VI(steps=20, learning_rate=0.1, point="*/bias")
    plain, watched = (ps.fit(KEY, model, data, m) for m in (method, steps.Watched(method)))
    last, earlier = steps.after(watched, 20), steps.after(watched, 5)
    for fit in (watched, last):
        same(fit, plain)
        np.testing.assert_allclose(
            fit.posterior.covariance.variance(), plain.posterior.covariance.variance(), rtol=1e-6
        )
    short = ps.fit(KEY, model, data, replace(method, steps=5, schedule="constant"))
    constant = ps.fit(KEY, model, data, steps.Watched(replace(method, schedule="constant")))
    same(steps.after(constant, 5), short)
    assert not np.array_equal(
        earlier.posterior.mode().params["layers"][0]["kernel"],
        last.posterior.mode().params["layers"][0]["kernel"],
    )


@pytest.mark.slow
def test_a_kl_of_twice_its_size_misses_the_top_of_the_bound(monkeypatch):
    right = Bound.terms

    def doubled(self, *given):
        row, kl = right(self, *given)
        return row, 2 * kl

    monkeypatch.setattr(Bound, "terms", doubled)
    jax.clear_caches()
    assert gates("R0.vi")["top_within_0.02_nats_of_the_best"] is False
    jax.clear_caches()


@pytest.mark.slow
def test_a_variance_taken_for_the_sd_misses_the_top_of_the_bound(monkeypatch):
    right = r0_vi.found

    def squared(result):
        at = right(result)
        return np.concatenate([at[:2], 2 * at[2:4], at[4:]])

    monkeypatch.setattr(r0_vi, "found", squared)
    assert gates("R0.vi")["top_within_0.02_nats_of_the_best"] is False


@pytest.mark.slow
def test_half_the_kl_lifts_the_bound_over_the_evidence(monkeypatch):
    right = ps.fit

    def lifted(*given, **named):
        found = right(*given, **named)
        record = found.info["assess"]
        info = found.info | {"assess": record | {"elbo": record["elbo"] + 0.5 * record["kl"]}}
        return replace(found, info=info)

    monkeypatch.setattr(r1_relu4.ps, "fit", lifted, raising=False)
    assert gates("R1.relu4")["every_bound_below_the_evidence"] is False


@pytest.mark.slow
def test_a_small_start_that_is_large_collapses(monkeypatch):
    monkeypatch.setitem(r1_multimodal.STARTS, "small", ("full", 1.0))
    assert gates("R1.multimodal")["small_start_at_most_5_collapse"] is False


@pytest.mark.slow
def test_another_order_of_the_bound_has_another_optimum(monkeypatch):
    monkeypatch.setattr(r1_more_alpha.ps, "Renyi", lambda alpha: ps.BlackBoxAlpha(alpha))
    found = gates("R1.more.alpha")
    assert found["sd_Renyi 0.5_within_2_percent"] is False
    assert found["sd_black box 0.5_within_2_percent"] is True


@pytest.mark.slow
def test_a_schedule_that_rises_at_another_time_is_seen(monkeypatch):
    right = ps.KLSchedule
    monkeypatch.setattr(
        r2_anneal.ps, "KLSchedule", lambda zero=0.05, full=0.05: right(zero, 2 * full)
    )
    found = gates("R2.anneal")
    assert found["weights_as_by_hand"] is False
    assert found["objective_as_by_hand"] is False
