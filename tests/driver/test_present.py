"""The fit as it stands: what a callback gets while a fit runs, held against what comes out."""

import gc
import weakref

import jax
import numpy as np
import pytest
from tests.bits import same
from tests.driver.problems import CHAINS, DATA, FIXED, KEY, MODEL, SINGLE, STOPPED, X

from posterium import (
    MAP,
    SWAG,
    VI,
    Bootstrap,
    Ensemble,
    Evidence,
    Exact,
    Gaussian,
    Linear,
    Model,
    Normal,
    ParallelTempering,
    Snapshot,
    Tempered,
    fit,
    learn,
    predict,
)
from posterium.driver import fit as loop
from posterium.driver.present import posterior_of, thinned
from posterium.posterior.posterior import Draw, GaussianPosterior, Mixture, Point, Samples

LINEAR = Model(Linear(), Normal(learn(1.0), "none"), Gaussian(learn(0.5)))


class Watcher:
    """Keeps what it is told, and the fit as it stands, at every so many steps."""

    def __init__(self, every=None):
        self.every, self.seen, self.closed = every, [], 0

    def __call__(self, report):
        self.seen.append((report.phase, report.step, report.fit(), report))

    def close(self):
        self.closed += 1

    def fits(self, phase):
        return {step: found for name, step, found, _ in self.seen if name == phase}


def watched(model, method, every=None, **options):
    watcher = Watcher(every)
    found = fit(KEY, model, DATA, method, callbacks=[watcher], **options)
    return found, watcher


@pytest.fixture(scope="module")
def sampled():
    return watched(FIXED, CHAINS, 7)


def test_chunks_end_where_callbacks_are_due_and_no_bit_changes():
    plain = fit(KEY, MODEL, DATA, STOPPED)
    watchers = Watcher(7), Watcher(13), Watcher()
    assert same(fit(KEY, MODEL, DATA, STOPPED, callbacks=watchers), plain)
    last = len(plain.info["descent"]["objective"])
    for watcher in watchers[:2]:
        steps = [step for _, step, _, _ in watcher.seen]
        assert steps == [*range(watcher.every, last, watcher.every), last]
    assert {7, 13, 14, 21, 26} <= {step for _, step, _, _ in watchers[2].seen}


def test_callbacks_are_closed_when_the_fit_is_over_and_when_it_breaks():
    watcher = Watcher()

    def broken(report):
        raise KeyError

    with pytest.raises(KeyError):
        fit(KEY, MODEL, DATA, SINGLE, callbacks=[watcher, broken])
    assert watcher.closed == 1
    fit(KEY, MODEL, DATA, SINGLE, callbacks=[watcher])
    assert watcher.closed == 2


def stopped(model, method, step):
    """Return what comes out when a callback ends a phase, and what stood there at that moment."""
    watcher = Watcher(step)

    def enough(report):
        return report.step == step

    found = fit(KEY, model, DATA, method, callbacks=[watcher, enough])
    return found, watcher.seen[0][2]


@pytest.mark.parametrize(
    ("method", "model", "kind"),
    [
        (SINGLE, MODEL, Point),
        (Ensemble(SINGLE, 2), MODEL, Mixture),
        (SWAG(steps=60, every=5, rank=8, batch_size=5, at=None), FIXED, GaussianPosterior),
        (Snapshot(cycles=2, steps=30, batch_size=5), FIXED, Samples),
    ],
    ids=["map", "ensemble", "swag", "snapshot"],
)
def test_a_fit_as_it_stands_is_the_fit_that_ends_there(method, model, kind):
    found, here = stopped(model, method, 32)
    assert isinstance(found.posterior, kind)
    assert same((here.posterior, here.model, here.info), (found.posterior, found.model, found.info))


@pytest.mark.slow
def test_a_variational_posterior_as_it_stands_is_the_one_that_is_assessed_there():
    found, here = stopped(MODEL, VI(steps=60, batch_size=5), 32)
    assert same(here.posterior.mode(), found.posterior.mode())
    assert same(here.info["ascent"], found.info["ascent"])


def test_it_says_that_it_is_not_over_and_carries_all_records():
    found, watcher = watched(FIXED, MAP(steps=20, polish="newton"))
    *_, (phase, step, here, _) = watcher.seen
    assert (phase, step) == ("polish", len(found.info["polish"]["objective"]))
    assert same(here.info, found.info)
    assert same(here.posterior, found.posterior)
    assert here.verdict.status == "warned"
    assert "not over" in here.verdict.reasons[0]
    assert (here.method, here.settings, here.precision) == ("MAP", found.settings, "float32")


def test_a_sampler_has_none_while_it_warms_up_and_then_the_draws_so_far(sampled):
    found, watcher = sampled
    assert list(watcher.fits("warmup").values()) == [None] * 3
    draws = jax.tree.leaves(found.posterior.draws)
    for step, count in ((7, 4), (14, 8), (35, 32), (40, 32)):
        here = jax.tree.leaves(watcher.fits("sampling")[step].posterior.draws)
        at = np.arange(1, count + 1) * step // count - 1
        assert same(here, [leaf[:, at] for leaf in draws])


def test_steps_count_on_over_phases(sampled):
    reports = [report for *_, report in sampled[1].seen]
    assert [report.global_step for report in reports] == [7, 14, 20, 27, 34, 41, 48, 55, 60]
    assert all(same(report.data, reports[0].data) for report in reports)


def test_the_record_so_far_is_of_all_steps_also_of_a_resumed_fit(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "PROBE_STEPS", 7)
    seen = []

    def callback(report):
        seen.append(report.record()["objective"])
        if len(seen) == 3:
            raise InterruptedError

    options = {"checkpoint": tmp_path / "c", "callbacks": [callback]}
    with pytest.raises(InterruptedError):
        fit(KEY, MODEL, DATA, SINGLE, **options)
    objective = fit(KEY, MODEL, DATA, SINGLE, **options).info["descent"]["objective"]
    for part in seen:
        assert same(part, objective[: len(part)])
    assert len(seen[-1]) == 60


def test_a_report_cannot_be_asked_for_a_fit_that_has_gone_on():
    watcher = []
    fit(KEY, MODEL, DATA, SINGLE, callbacks=[watcher.append])
    with pytest.raises(RuntimeError, match=r"after step 32 was asked .* after step 60"):
        watcher[0].fit()
    assert watcher[-1].fit() is not None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "model"),
    [
        (Ensemble(Bootstrap(MAP(steps=10, polish="newton")), 2), FIXED),
        (Evidence(Exact(), rounds=2), LINEAR),
        (Tempered(MAP(steps=10), 0.5), FIXED),
    ],
    ids=["bootstrap", "evidence", "tempered"],
)
def test_what_combinators_hand_from_phase_to_phase_is_unwrapped(method, model):
    found, watcher = watched(model, method)
    first = next(here for _, _, here, _ in watcher.seen)
    assert first is not None
    assert jax.tree.structure(first.model) == jax.tree.structure(found.model)
    assert predict(KEY, first, X, draws=4).mean.shape == (len(X), 1)


@pytest.mark.slow
def test_tempering_has_no_draws_before_its_warm_up_is_over():
    method = ParallelTempering(warmup=6, draws=6, chains=2, rungs=2, leapfrog=1, thin=1)
    _, watcher = watched(FIXED, method, 3)
    sizes = {
        step: here and here.posterior.size() for step, here in watcher.fits("tempering").items()
    }
    assert sizes == {3: None, 6: None, 9: 2 * 2, 12: 2 * 4}
    assert watcher.seen[0][3].warmup == 6


@pytest.mark.parametrize("draws", [1, 2, 3, 8, 13])
def test_thinned_draws_are_a_power_of_two_evenly_spaced_and_end_with_the_last(draws):
    weights = np.arange(draws)[None].repeat(3, axis=0)
    kept = thinned(Samples(Draw(weights))).draws.weights
    assert kept.shape[1] == 2 ** int(np.log2(draws))
    assert set(np.diff(kept[0])) <= {draws // kept.shape[1], -(-draws // kept.shape[1])}
    assert kept[0, -1] == draws - 1
    mixture = thinned(Mixture(Samples(Draw(weights[None])), None))
    assert same(mixture.parts.draws.weights, kept[None])
    assert thinned(Point(weights)).weights is weights


def test_what_is_no_posterior_is_none():
    assert posterior_of(None) is None
    assert posterior_of(Mixture(None, None)) is None
    assert posterior_of(np.zeros(3)) is None
    assert posterior_of(Samples(Draw(np.zeros((4, 0, 2))))) is None
    point = Point(np.zeros(3))
    assert posterior_of(point) is point


@pytest.mark.parametrize("every", [0, -1, 2.5, True, "often"])
def test_steps_between_calls_that_make_no_sense_are_refused(every):
    with pytest.raises(ValueError, match="every must be a whole number of steps"):
        fit(KEY, MODEL, DATA, SINGLE, callbacks=[Watcher(every)])


def test_what_is_neither_a_function_nor_a_logger_is_refused():
    with pytest.raises(TypeError, match="functions of a report, or loggers"):
        fit(KEY, MODEL, DATA, SINGLE, callbacks=["run.jsonl"])


def test_a_report_is_gone_when_the_callback_returns():
    """With it go its chunk's records, which would pile up until the collector of cycles runs."""
    reports = []

    def watch(report):
        assert all(earlier() is None for earlier in reports)
        assert report.fit() is not None
        reports.append(weakref.ref(report))

    watch.every = 20
    gc.disable()
    try:
        fit(KEY, MODEL, DATA, SINGLE, callbacks=[watch])
    finally:
        gc.enable()
    assert len(reports) == 3
