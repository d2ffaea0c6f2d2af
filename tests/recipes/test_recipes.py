"""Every recipe passes, and fails when an error is planted in it."""

import json

import jax
import numpy as np
import pytest

from posterium import recipes
from posterium.datasets import reference
from posterium.recipes import r0_map, r1_blr, r1_landscape, r1_manual, r1_predictive, r4_gpu, runner

IDS = [id for id, _ in recipes.names()]
LONG = {
    "R0.laplace", "R0.mcdropout", "R0.vi-mlp", "R1.bbvi", "R1.more.alpha", "R1.more.ensembles",
    "R1.more.laplace", "R1.more.pbp", "R1.more.thompson", "R1.multimodal", "R1.nuts", "R1.relu4",
    "R2.anneal", "R2.het", "R2.hom", "R2.log", "R2.map", "R2.mcmc", "R2.mle", "R2.plots", "R2.svi",
    "R2.uncertainty", "R3.advi", "R3.draws", "R3.nuts", "R3.priors", "R3.surface", "R3.swap",
    "R4.bands", "R4.bbb",
}  # fmt: skip
WITH_FULL_LENGTH = {
    "R0.vi-mlp": {"accuracy_is_1", "nll_at_most_0.008"},
    "R1.more.thompson": {"beats_greedy_by_2_errors"},
    "R1.evidence": {"within_0.05_of_a_long_run"},
    "R2.mcmc": {
        "long_is_ok",
        "long_nll_at_most_-1.85",
        "long_epistemic_beyond_at_least_3_times_inside",
    },
    "R2.svi": {"nll_at_most_-1.15_mean_field", "cover90_from_0.88_to_0.98_mean_field"},
    "R3.advi": {"negative_bound_at_most_135"},
    "R3.nuts": {"rhat_at_most_1.01", "nll_0.117_within_0.002"},
    "R4.bands": {
        *(f"learned_noise_covers_{part}" for part in ("train", "validation")),
        *(f"fixed_noise_covers_less_than_0.5_of_{part}" for part in ("train", "validation")),
        "learned_noise_within_5_percent",
    },
    "R4.bbb": {"rmse_train_at_most_0.36", "rmse_validation_at_most_0.36"},
    "R3.priors": {"pooling_beats_separate_by_2_errors", "pooling_beats_one_by_2_errors"},
}


@pytest.mark.parametrize(
    "id", [pytest.param(id, marks=[pytest.mark.slow] if id in LONG else []) for id in IDS]
)
def test_a_recipe_passes_its_gates(id):
    found = recipes.run(id, fast=True)
    if "skipped" in found:
        pytest.skip(found["skipped"])
    assert found["passed"] is True, found
    left_open = {name for name, met in found["gates"].items() if met is None}
    assert left_open == WITH_FULL_LENGTH.get(id, set())
    json.dumps(found, allow_nan=False)


@pytest.mark.slow
@pytest.mark.parametrize("id", IDS)
def test_a_recipe_passes_at_full_length(id, tmp_path):
    found = recipes.run(id, out=tmp_path)
    if "skipped" in found:
        pytest.skip(found["skipped"])
    assert found["passed"] is True, found
    assert None not in found["gates"].values()
    assert any(tmp_path.glob(f"{id}-*.png"))


def test_inputs_that_are_not_standardised_fail_the_published_values(monkeypatch):
    x, y = reference.outlier6()
    monkeypatch.setattr(r1_blr, "outlier6", lambda: (1.01 * x, y))
    found = recipes.run("R1.blr")
    assert found["passed"] is False
    assert found["gates"]["covariance_3"] is False


def test_a_decay_taken_for_half_its_precision_fails_against_the_loop_by_hand(monkeypatch):
    right = r0_map.precision_from_weight_decay
    monkeypatch.setattr(
        r0_map, "precision_from_weight_decay", lambda *given, **named: right(*given, **named) / 2
    )
    assert recipes.run("R0.map")["gates"]["same_path_as_by_hand"] is False


def test_draws_that_are_too_narrow_fail_the_gate_of_the_variance(monkeypatch):
    right = runner.moment_gates

    def shrunk(sampled, exact, draws):
        class Narrow:
            mean = sampled.mean
            epistemic_var = 0.7 * sampled.epistemic_var

        return right(Narrow, exact, draws)

    monkeypatch.setattr(r1_predictive, "moment_gates", shrunk)
    gates = recipes.run("R1.predictive")["gates"]
    assert gates == {"mean_within_4_se": True, "variance_within_4_se": False}


def test_another_seed_gives_other_draws():
    gaps = [recipes.run("R1.predictive", seed=seed)["figures"] for seed in (0, 1)]
    assert not np.isclose(gaps[0]["largest_mean_gap"], gaps[1]["largest_mean_gap"])


def test_a_button_that_keeps_another_line_fails_R1_manual(monkeypatch):
    keep = r1_manual.Lines.keep
    monkeypatch.setattr(r1_manual.Lines, "keep", lambda self, b, w: keep(self, b, w + 0.01))
    gates = recipes.run("R1.manual")["gates"]
    assert gates["the_button_keeps_what_the_sliders_say"] is False
    assert gates["every_line_is_drawn_over_a_band"] is False


@pytest.mark.slow
def test_a_landscape_with_its_axes_exchanged_fails_R1_landscape(monkeypatch):
    right = r1_landscape.plane.log_joint
    monkeypatch.setattr(r1_landscape.plane, "log_joint", lambda *given: right(*given).T)
    gates = recipes.run("R1.landscape")["gates"]
    assert gates["loss_as_in_numpy"] is False
    assert gates["lowest_within_half_a_cell"] is False


@pytest.mark.skipif("jax.default_backend() == 'gpu'", reason="there is a GPU")
def test_without_a_gpu_R4_gpu_is_skipped_and_says_what_to_install():
    found = recipes.run("R4.gpu")
    assert found["passed"] is None
    assert "jax[cuda" in found["skipped"]


@pytest.mark.slow
def test_a_device_that_is_given_computes_R4_gpu(monkeypatch):
    monkeypatch.setattr(r4_gpu, "gpu", lambda: jax.devices("cpu")[0])
    monkeypatch.setattr(r4_gpu, "FEWER", 100)
    found = recipes.run("R4.gpu", fast=True)
    assert found["passed"] is True, found
