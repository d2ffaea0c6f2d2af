"""The door: `fit` turns (key, model, data, method) into a Fit; the only loop of the library."""

import contextlib
import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from posterium._struct import brief
from posterium.driver import batches, devices, present, program
from posterium.driver.cache import make_room
from posterium.driver.checks import check_door, check_model
from posterium.driver.journal import Chapter, Journal
from posterium.driver.loggers.log import Logger, as_callback
from posterium.driver.progress import ProgressBar
from posterium.driver.protocol import Method, Phase
from posterium.driver.watch import Callback, Interrupted, Report, every_of, interrupts, length
from posterium.model.data import Data, Stream
from posterium.model.model import Model
from posterium.numerics import trees
from posterium.posterior.fit import Fit, Seen, Verdict

CHUNK_SECONDS = 1.0
PROBE_STEPS = 32


def fit(
    key: jax.Array,
    model: Model,
    data: Data | Stream,
    method: Method,
    *,
    start: Any = None,
    precision: str | None = None,
    checkpoint: str | None = None,
    callbacks: Sequence[Callback | Logger] = (),
    progress: bool = False,
) -> Fit:
    """Return what the data say about a model, by a method.

    Parameters
    ----------
    key
        Typed random key, `jax.random.key(0)`. Same key, data, versions and device count: same
        bits on CPU.
    model
        Network, prior and likelihood.
    data
        From `as_data`, or a `Stream`.
    method
        What to do, for example `MAP()` or `Ensemble(MAP(), 5)`.
    start
        Weights to start from, or None to draw them from the network.
    precision
        ``"float32"`` or ``"float64"``; None takes the method's own.
    checkpoint
        Folder to keep checkpoints in. A fit that was killed and is started again with the same
        arguments continues there, to the same bits.
    callbacks
        Called between chunks of steps (about a second each) with a `Report`; one that returns
        True ends the running phase. One with an attribute `every`, as `LivePlot`, is called after
        every so many steps of a phase and at its end. Loggers, such as `JSONLLogger`, get what is
        recorded.
    progress
        Show a progress bar: the objective and its two terms, and of samplers acceptance,
        divergences and effective draws so far.

    Returns
    -------
    Fit
        Its `verdict` says whether to trust it: failure is a value here.

    Raises
    ------
    ValueError
        When the network's outputs do not suit likelihood and target, or the method refuses the
        model.
    Interrupted
        After SIGINT or SIGTERM, when the chunk is finished and the checkpoint written.

    Examples
    --------
    >>> import jax, numpy as np
    >>> from posterium import MAP, MLP, Gaussian, Model, Normal, as_data, fit
    >>> x = np.linspace(-1, 1, 20)[:, None]
    >>> model = Model(MLP(hidden=(8,)), Normal(), Gaussian())
    >>> fit(jax.random.key(0), model, as_data(x, x**2), MAP(steps=50)).verdict.status
    'ok'
    """
    check_door(key, model, method)
    precision = precision or method.precision
    if precision not in ("float32", "float64"):
        raise ValueError(f"precision must be 'float32' or 'float64'; got {precision!r}.")
    watchers = [*([ProgressBar()] if progress else []), *map(as_callback, callbacks)]
    make_room()
    with contextlib.ExitStack() as stack:
        stack.enter_context(jax.enable_x64(precision == "float64"))
        model, data, start = trees.cast((model, data, start), np.dtype(precision))
        check_model(model, batches.source(key, data, None, np.dtype(precision)).first)
        identity = {"key": key, "model": model, "data": data, "method": method, "start": start}
        journal = stack.enter_context(Journal(checkpoint, identity, precision))
        for watcher in watchers:
            stack.callback(getattr(watcher, "close", lambda: None))
        stopping = stack.enter_context(interrupts())
        run = Run(key, data, method, np.dtype(precision), journal, watchers, stopping)
        return run.all(model, start)


@dataclass(frozen=True)
class Run:
    """One fit in progress: what stays the same over its phases, and what those before recorded."""

    key: jax.Array
    data: Data | Stream
    method: Method
    dtype: np.dtype
    journal: Journal
    watchers: list[Callback]
    stopping: Callable[[], bool]
    past: dict[str, Any] = field(default_factory=dict)

    def all(self, model: Model, start: Any) -> Fit:
        """Run the phases one after another, from where the journal stands.

        Of a phase that comes round again, the last verdict counts; one that had nothing to do
        leaves no record.
        """
        verdicts: dict[str, Verdict] = {}
        used = 1
        for number, phase in enumerate(self.method.phases(model, self.data)):
            with devices.within(mesh := devices.mesh_for(phase)):
                record, verdict, start, model = self.one(number, phase, model, start, mesh)
            used = max(used, 1 if mesh is None else mesh.size)
            if record and length(record) == 0:
                continue
            self.past[self.name(number, phase)] = record
            verdicts[phase.name] = verdict
        _, start, model = self.journal.chapter(number + 1, None, (None, start, model)).position
        posterior, model = trees.to_numpy((start, model))
        info = self.past | program.evidence(posterior, model)
        return self.fitted(posterior, model, info, Verdict.merge(list(verdicts.values())), used)

    def name(self, number: int, phase: Phase) -> str:
        """Return under which name a phase is recorded: its own, the first time."""
        return phase.name if phase.name not in self.past else f"{phase.name}_{number + 1}"

    def fitted(
        self, posterior: Any, model: Model, info: dict[str, Any], verdict: Verdict, used: int
    ) -> Fit:
        """Return a fit by this method, which used so many devices."""
        return Fit(
            posterior, model, info, verdict, type(self.method).__name__, self.dtype.name, used,
            brief(self.method), self.seen,
        )  # fmt: skip

    @functools.cached_property
    def seen(self) -> Seen:
        """What the data are."""
        return Seen.of(batches.source(self.key, self.data, None, self.dtype).first)

    def one(
        self, number: int, phase: Phase, model: Model, start: Any, mesh: Mesh | None
    ) -> tuple[dict[str, np.ndarray], Verdict, Any, Model]:
        """Run one phase; return its records, its verdict, what it ends with, and the model.

        For a phase that was over before this process began, the last two are shapes only: the
        next phase reads its own start.
        """
        programs = program.programs()
        key, source = self.opening(number, phase)
        batch = jax.eval_shape(lambda plan: plan.batch(0), source.plan(0, 1, 1))
        shape = jax.eval_shape(programs.init, phase, key, model, source.first, start)
        record = program.record_shape(phase, shape, model, batch)
        chapter = self.journal.chapter(number, record, (shape, start, model))
        if chapter.verdict is not None:
            info, kept = self.journal.joined(chapter)
            ended = jax.eval_shape(programs.end, phase, shape, kept, model, source.first)
            return info, chapter.verdict, *ended
        state, start, model = chapter.position
        if state is None:
            state = programs.init(phase, jax.random.fold_in(key, 0), model, source.first, start)
        placed = devices.spread(state, mesh, devices.parts_of(phase))
        chapter.position = placed, start, model
        longest = program.capacity(phase, trees.nbytes(record) + trees.nbytes(batch.part))
        self.steps(phase, chapter, source, jax.random.fold_in(key, 1), longest)
        info, kept = self.journal.joined(chapter)
        ended, model = trees.to_numpy(
            programs.end(phase, chapter.position[0], kept, model, source.first)
        )
        verdict = phase.judge(info, ended)
        self.journal.finish(chapter, verdict, ended, model)
        if self.stopping():
            raise Interrupted(f"Stopped after phase {phase.name}.")
        return info, verdict, ended, model

    def opening(self, number: int, phase: Phase) -> tuple[jax.Array, batches.Source]:
        """Return the key of a phase and where its batches come from."""
        key = jax.random.fold_in(self.key, number)
        return key, batches.source(key, self.data, phase.batch_size, self.dtype)

    def steps(
        self, phase: Phase, chapter: Chapter, source: batches.Source, key: jax.Array, longest: int
    ) -> None:
        """Run the steps of a phase in chunks of about a second, with everything in between."""
        count, timed = min(PROBE_STEPS, longest), False
        marks = [phase.steps, *filter(None, map(every_of, self.watchers))]
        while chapter.step < phase.steps and not chapter.over:
            count = min(count, *(every - chapter.step % every for every in marks))
            began = time.perf_counter()
            plan = source.plan(chapter.step, count, longest)
            state, start, model = chapter.position
            ran, over, state, record = program.advance(
                phase, state, key, model, plan, chapter.step, count
            )
            seconds = time.perf_counter() - began
            chapter.step += ran
            chapter.position = state, start, model
            self.journal.note(chapter, record)
            chapter.over = self.watch(phase, chapter, source, over) or over
            self.journal.save_when_due(chapter)
            if self.stopping():
                self.journal.save(chapter)
                raise Interrupted(f"Stopped in phase {phase.name} after step {chapter.step}.")
            if timed or seconds > CHUNK_SECONDS:
                count = int(np.clip(CHUNK_SECONDS * count / seconds, 1, longest))
            timed = True

    def watch(self, phase: Phase, chapter: Chapter, source: batches.Source, over: bool) -> bool:
        """Tell the callbacks whose turn it is; say whether one of them ends the phase."""
        ending = over or chapter.step == phase.steps
        due = [w for w in self.watchers if ending or not chapter.step % (every_of(w) or 1)]
        if not due:
            return False
        step = chapter.step
        report = Report(
            phase.name, step, phase.steps, chapter.records[-1][0], chapter.position[0],
            before=sum(map(length, self.past.values())), warmup=phase.warmup, data=self.data,
            record=functools.cache(lambda: self.so_far(chapter, step)[0]),
            fit=functools.cache(lambda: self.now(phase, chapter, source, step)),
        )  # fmt: skip
        answers = [callback(report) for callback in due]
        return any(answer is True for answer in answers)

    def so_far(self, chapter: Chapter, step: int) -> tuple[dict[str, np.ndarray], Any]:
        """Return what a phase recorded and kept up to a step, as long as it is the last one."""
        if chapter.step != step:
            raise RuntimeError(
                f"The report after step {step} was asked for what was recorded, or for a "
                f"fit, after step {chapter.step}. Ask while the callback runs."
            )
        return self.journal.joined(chapter)

    def now(self, phase: Phase, chapter: Chapter, source: batches.Source, step: int) -> Fit | None:
        """Return the fit as it stands, or None where there is no posterior yet."""
        info, kept = self.so_far(chapter, step)
        state, _, model = chapter.position
        found = program.programs().present(phase, state, kept, model, source.first)
        posterior, model = trees.to_numpy(found)
        posterior = present.posterior_of(posterior)
        if posterior is None:
            return None
        if kept is not None:
            posterior = present.thinned(posterior)
        reason = f"The fit is not over: this is after step {chapter.step} of {phase.name}."
        verdict = Verdict("warned", (reason,), ("Wait for the end, which is judged.",))
        mesh = devices.mesh_for(phase)
        record = self.past | {self.name(chapter.number, phase): info}
        return self.fitted(posterior, model, record, verdict, 1 if mesh is None else mesh.size)
