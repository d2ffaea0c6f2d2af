import threading

import jax
import numpy as np
import pytest
from tests.bits import same
from tests.driver.problems import DATA, KEY, MODEL, SINGLE, STOPPED, X, Y

from posterium import MAP, Ensemble, Gaussian, Model, Normal, Weights, as_data, fit, predict
from posterium._struct import replace
from posterium.driver import cache, program
from posterium.driver import fit as loop

COMPILED: list[float] = []
jax.monitoring.register_event_duration_secs_listener(
    lambda name, seconds, **_: COMPILED.append(seconds) if "backend_compile" in name else None
)
BREAKING = MAP(steps=90, batch_size=5, learning_rate=1e30, optimiser="sgd", schedule="constant")


@pytest.mark.parametrize("method", [SINGLE, STOPPED], ids=["single", "stopped early"])
@pytest.mark.parametrize(
    ("probe", "seconds", "longest"), [(1, 1e9, 4096), (7, 1e-9, 4096), (32, 1.0, 11)]
)
def test_the_length_of_a_chunk_changes_no_bit(monkeypatch, method, probe, seconds, longest):
    whole = fit(KEY, MODEL, DATA, method)
    monkeypatch.setattr(loop, "PROBE_STEPS", probe)
    monkeypatch.setattr(loop, "CHUNK_SECONDS", seconds)
    monkeypatch.setattr(program, "LONGEST_CHUNK", longest)
    assert same(fit(KEY, MODEL, DATA, method), whole)


def test_a_second_fit_of_equal_shapes_compiles_nothing():
    fit(KEY, Model(MODEL.network, Normal(1.0), Gaussian(0.5)), DATA, SINGLE)
    before = len(COMPILED)
    other = as_data(X[::-1] + 1, 2 * Y)
    method = replace(SINGLE, learning_rate=0.5)
    fit(jax.random.key(9), Model(MODEL.network, Normal(3.0), Gaussian(0.1)), other, method)
    assert len(COMPILED) == before
    fit(KEY, Model(MODEL.network, Normal(1.0), Gaussian(0.5)), DATA, replace(SINGLE, batch_size=4))
    assert len(COMPILED) > before


def test_a_second_prediction_of_equal_shapes_compiles_nothing():
    found = fit(KEY, MODEL, DATA, SINGLE)
    _ = predict(KEY, found, X).mean
    before = len(COMPILED)
    _ = predict(jax.random.key(4), fit(jax.random.key(5), MODEL, DATA, SINGLE), X[:7] + 1).sd
    assert len(COMPILED) == before


def test_programs_are_dropped_before_the_memory_maps_run_out(monkeypatch, tmp_path):
    whole = fit(KEY, MODEL, DATA, SINGLE)
    before = len(COMPILED)
    for file, text in (("MAPS", "a\n" * 71), ("MOST_MAPS", "100")):
        (tmp_path / file).write_text(text)
        monkeypatch.setattr(cache, file, tmp_path / file)
    assert same(fit(KEY, MODEL, DATA, SINGLE), whole)
    assert len(COMPILED) > before
    before = len(COMPILED)
    (tmp_path / "MAPS").write_text("a\n" * 70)
    fit(KEY, MODEL, DATA, SINGLE)
    assert len(COMPILED) == before


def test_another_key_gives_another_fit():
    one, other = (fit(jax.random.key(i), MODEL, DATA, SINGLE).posterior.mode() for i in (1, 2))
    assert not same(one, other)
    assert jax.tree.all(jax.tree.map(lambda a, b: (a != b).any(), one, other))


def test_input_arrays_and_numpys_generator_are_left_alone():
    data = as_data(X.copy(), Y.copy())
    np.random.seed(1)  # noqa: NPY002
    before = np.random.get_state()  # noqa: NPY002
    one = fit(KEY, MODEL, data, SINGLE)
    after = np.random.get_state()  # noqa: NPY002
    assert np.array_equal(before[1], after[1])
    assert before[2] == after[2]
    assert same(data, DATA)
    np.random.seed(2)  # noqa: NPY002
    assert same(fit(KEY, MODEL, data, SINGLE), one)


def test_callbacks_see_every_step_once():
    reports = []
    found = fit(KEY, MODEL, DATA, SINGLE, callbacks=[reports.append])
    assert [r.step for r in reports][-1] == reports[0].steps == 60
    assert {r.phase for r in reports} == {"descent"}
    seen = np.concatenate([r.info["objective"] for r in reports])
    assert np.array_equal(seen, found.info["descent"]["objective"])
    assert same(reports[-1].state.params, found.posterior.mode().params)


@pytest.mark.parametrize(("answer", "steps"), [(True, 32), (False, 60), (None, 60), (1, 60)])
def test_a_callback_that_returns_true_and_only_that_ends_the_phase(answer, steps):
    found = fit(KEY, MODEL, DATA, SINGLE, callbacks=[lambda report: answer])
    assert len(found.info["descent"]["objective"]) == steps


def test_a_record_keeps_no_more_in_memory_than_its_steps():
    seen = []
    fit(KEY, MODEL, DATA, SINGLE, callbacks=[lambda report: seen.append(report.info["objective"])])
    assert sum(map(len, seen)) == SINGLE.steps
    assert all(part.base is None for part in seen)


def test_a_phase_ended_by_a_callback_hands_over_to_the_next_one():
    method = MAP(steps=60, polish="newton")
    found = fit(KEY, MODEL, DATA, method, callbacks=[lambda r: r.phase == "descent"])
    assert len(found.info["descent"]["objective"]) == 32
    assert len(found.info["polish"]["objective"]) > 1


@pytest.mark.parametrize(("probe", "seconds"), [(32, 1.0), (1, 1e9), (5, 1e-9)])
def test_an_objective_that_is_not_finite_stops_the_fit_at_its_step(monkeypatch, probe, seconds):
    monkeypatch.setattr(loop, "PROBE_STEPS", probe)
    monkeypatch.setattr(loop, "CHUNK_SECONDS", seconds)
    found = fit(KEY, MODEL, DATA, BREAKING)
    objective = found.info["descent"]["objective"]
    assert np.isfinite(objective).tolist() == [True] * (len(objective) - 1) + [False]
    assert found.verdict.status == "failed"
    assert f"not finite at step {len(objective) - 1} (last finite value" in found.verdict.reasons[0]
    assert "learning rate" in found.verdict.advice[0]


def test_one_broken_member_does_not_stop_the_others():
    start = jax.tree.map(np.array, fit(KEY, MODEL, DATA, Ensemble(SINGLE, 2)).posterior)
    start.parts.weights.params["layers"][0]["kernel"][0] = np.nan
    found = fit(KEY, MODEL, DATA, Ensemble(SINGLE, 2), start=start)
    objective = found.info["descent"]["objective"]
    assert len(objective) == 60
    assert np.isfinite(objective[:, 1]).all()
    assert found.verdict.status == "failed"
    assert "1 of 2 members" in found.verdict.reasons[0]


def test_a_fit_in_another_thread_has_the_same_bits():
    results = {}

    def run(precision):
        results[precision] = fit(KEY, MODEL, DATA, SINGLE, precision=precision)

    threads = [threading.Thread(target=run, args=(p,)) for p in ("float32", "float64")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for precision, found in results.items():
        assert same(found, fit(KEY, MODEL, DATA, SINGLE, precision=precision))


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_fit_holds_numpy_arrays_of_its_precision_and_leaves_jax_as_it_was(precision):
    found = fit(KEY, MODEL, DATA, SINGLE, precision=precision)
    arrays = jax.tree.leaves((found.posterior, found.model))
    assert {(type(a), a.dtype.name) for a in arrays} == {(np.ndarray, precision)}
    assert found.precision == precision
    assert not jax.config.jax_enable_x64


def test_a_start_is_where_the_fit_starts():
    weights = Weights(
        jax.tree.map(np.ones_like, fit(KEY, MODEL, DATA, SINGLE).posterior.mode().params)
    )
    still = replace(SINGLE, learning_rate=0.0)
    assert same(fit(KEY, MODEL, DATA, still, start=weights).posterior.mode(), weights)


def test_the_progress_bar_changes_no_bit(capsys):
    assert same(fit(KEY, MODEL, DATA, SINGLE, progress=True), fit(KEY, MODEL, DATA, SINGLE))
    assert "descent" in capsys.readouterr().err
