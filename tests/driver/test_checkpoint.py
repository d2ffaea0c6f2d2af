"""Checkpoints: whatever is killed or damaged, a fit goes on right or says why not."""

import errno
import functools
import os
import shutil
import subprocess
import sys
import warnings
from typing import Any

import jax
import numpy as np
import pytest

from posterium._struct import static, struct
from posterium.driver.checkpoint import (
    CheckpointLocked,
    CheckpointMismatch,
    Checkpoints,
    fingerprint_of,
)
from posterium.posterior.container import FileError

ENTRIES = {
    "data": "a" * 64,
    "model": "b" * 64,
    "method": "map",
    "key": "k",
    "precision": "float32",
    "versions": "posterium 0.1, jax 0.10.2",
}


def state(step):
    return {"params/kernel": np.full((2, 3), float(step)), "step": np.array(step)}


def names(directory):
    return sorted(name for name in os.listdir(directory) if name != "lock")


def run(directory, steps):
    """Save checkpoints with a chunk of draws before each, from the latest on."""
    with Checkpoints(directory, ENTRIES) as checkpoints:
        found = checkpoints.latest()
        start = 0 if found is None else int(found[0]["step"])
        for step in range(start + 1, steps + 1):
            checkpoints.append("draws", {"w": np.full(2, float(step))})
            checkpoints.save(state(step), {"phase": 1})


def resumed(directory):
    """Return the step and the draws a resumed fit would go on from."""
    with Checkpoints(directory, ENTRIES) as checkpoints:
        found = checkpoints.latest()
        draws = [chunk["w"][0] for chunk in checkpoints.chunks("draws")]
        return (0 if found is None else int(found[0]["step"])), draws


def damage(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def test_an_empty_directory_has_no_checkpoint(tmp_path):
    with Checkpoints(tmp_path / "new", ENTRIES) as checkpoints:
        assert checkpoints.latest() is None
        assert checkpoints.chunks("draws") == []


def test_the_newest_checkpoint_comes_back_with_meta_and_chunks(tmp_path):
    run(tmp_path, 3)
    with Checkpoints(tmp_path, ENTRIES) as checkpoints:
        arrays, meta = checkpoints.latest()
        np.testing.assert_array_equal(arrays["params/kernel"], np.full((2, 3), 3.0))
        assert meta == {"phase": 1}
        assert [c["w"][0] for c in checkpoints.chunks("draws")] == [1, 2, 3]
        assert [c["w"][0] for c in checkpoints.chunks("draws", 2)] == [1, 2]


def test_only_the_newest_two_checkpoints_are_kept_and_every_chunk(tmp_path):
    run(tmp_path, 4)
    assert names(tmp_path) == [
        "checkpoint-00000003.posterium",
        "checkpoint-00000004.posterium",
        *(f"draws-{number:08d}.posterium" for number in range(4)),
    ]


def test_chunks_are_written_once(tmp_path):
    run(tmp_path, 1)
    first = tmp_path / "draws-00000000.posterium"
    before = first.stat()
    run(tmp_path, 3)
    assert (first.stat().st_ino, first.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_chunks_after_the_checkpoint_are_ignored_and_written_again(tmp_path):
    run(tmp_path, 2)
    with Checkpoints(tmp_path, ENTRIES) as checkpoints:
        checkpoints.latest()
        checkpoints.append("draws", {"w": np.full(2, 99.0)})
    assert resumed(tmp_path) == (2, [1, 2])
    run(tmp_path, 3)
    assert resumed(tmp_path) == (3, [1, 2, 3])


def test_resumed_files_equal_uninterrupted_ones(tmp_path):
    run(tmp_path / "a", 5)
    for steps in (1, 2, 5):
        run(tmp_path / "b", steps)
    assert names(tmp_path / "a") == names(tmp_path / "b")
    for name in names(tmp_path / "a"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


class Disk:
    """A disk that loses what was not synced: records operations, replays any prefix of them."""

    def __init__(self, monkeypatch):
        self.log = []
        self.marks = []
        self.real = {
            name: getattr(os, name) for name in ("open", "write", "fsync", "replace", "unlink")
        }
        self.open_files = {}
        for name in self.real:
            monkeypatch.setattr(os, name, functools.partial(self.record, name))

    def record(self, name, *arguments):
        result = self.real[name](*arguments)
        target = arguments[0]
        if name == "open":
            self.open_files[result] = os.fspath(target)
        if name == "write":
            arguments = (target, bytes(arguments[1][:result]))
        path = self.open_files[target] if name in ("write", "fsync") else os.fspath(target)
        if os.path.basename(path) != "lock":
            self.log.append((name, path, *arguments[1:]))
        return result

    def after_crash(self, count, renames_survive):
        """Return the files after the first operations and a power cut.

        Bytes survive if their file was synced after them. Names survive if the directory was
        synced after they were given; or all of them, which a disk may choose to do early.
        """
        entries, durable, written, synced = {}, {}, [], {}
        for name, path, *rest in self.log[:count]:
            if name == "open" and rest[0] & os.O_CREAT:
                entries[path] = len(written)
                written.append(b"")
            elif name == "write":
                written[entries[path]] += rest[0]
            elif name == "fsync" and path in entries:
                synced[entries[path]] = written[entries[path]]
            elif name == "fsync":
                durable = dict(entries)
            elif name == "replace":
                entries[os.fspath(rest[0])] = entries.pop(path)
            elif name == "unlink":
                del entries[path]
        names = entries if renames_survive else durable
        return {os.path.basename(path): synced.get(i, b"") for path, i in names.items()}


@pytest.mark.parametrize("renames_survive", [False, True])
def test_every_prefix_of_the_writes_resumes_from_the_old_or_the_new(
    renames_survive, tmp_path, monkeypatch
):
    done = [0]
    with monkeypatch.context() as patched:
        disk = Disk(patched)
        with Checkpoints(tmp_path / "run", ENTRIES) as checkpoints:
            checkpoints.latest()
            for step in (1, 2, 3):
                checkpoints.append("draws", {"w": np.full(2, float(step))})
                checkpoints.save(state(step), {})
                done.append(len(disk.log))
    assert len(disk.log) > 30
    for count in range(len(disk.log) + 1):
        crashed = tmp_path / str(count)
        crashed.mkdir()
        for name, data in disk.after_crash(count, renames_survive).items():
            (crashed / name).write_bytes(data)
        finished = sum(end <= count for end in done[1:])
        step, draws = resumed(crashed)
        assert step in (finished, finished + 1)
        assert draws == list(range(1, step + 1))


def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before_and_says_so(tmp_path):
    run(tmp_path, 3)
    damage(tmp_path / "checkpoint-00000003.posterium")
    with pytest.warns(UserWarning, match=r"00003\S* is damaged .*from checkpoint-00000002.*again"):
        assert resumed(tmp_path) == (2, [1, 2])
    with pytest.warns(UserWarning, match="damaged"):
        run(tmp_path, 3)
    assert resumed(tmp_path) == (3, [1, 2, 3])
    damage(tmp_path / "checkpoint-00000003.posterium")
    with pytest.warns(UserWarning, match="damaged"):
        assert resumed(tmp_path)[0] == 2


@pytest.mark.parametrize("loss", [damage, os.unlink])
def test_a_chunk_that_only_the_newest_checkpoint_needs_counts_as_its_damage(loss, tmp_path):
    run(tmp_path, 3)
    loss(tmp_path / "draws-00000002.posterium")
    with pytest.warns(UserWarning, match="draws-00000002"):
        assert resumed(tmp_path) == (2, [1, 2])


def test_a_chunk_written_after_falling_back_never_counts_for_the_damaged_checkpoint(tmp_path):
    run(tmp_path, 3)
    damage(tmp_path / "draws-00000002.posterium")
    with Checkpoints(tmp_path, ENTRIES) as checkpoints:
        with pytest.warns(UserWarning, match="one before"):
            checkpoints.latest()
        checkpoints.append("draws", {"w": np.full(2, 9.0)})
    assert resumed(tmp_path) == (2, [1, 2])


@pytest.mark.parametrize(
    "lost", [["checkpoint-00000002", "checkpoint-00000003"], ["draws-00000000"]]
)
def test_all_damaged_is_an_error_never_a_fresh_start(lost, tmp_path):
    run(tmp_path, 3)
    for name in lost:
        damage(tmp_path / f"{name}.posterium")
    with pytest.raises(FileError, match=r"All checkpoints in .* are damaged: .*remove"):
        resumed(tmp_path)


def test_a_file_under_another_name_is_damage(tmp_path):
    run(tmp_path, 2)
    shutil.copy(tmp_path / "draws-00000000.posterium", tmp_path / "draws-00000001.posterium")
    os.unlink(tmp_path / "checkpoint-00000001.posterium")
    with pytest.raises(FileError, match="another file under this name"):
        resumed(tmp_path)


def test_saving_before_looking_is_refused(tmp_path):
    run(tmp_path, 1)
    with Checkpoints(tmp_path, ENTRIES) as checkpoints:
        with pytest.raises(RuntimeError, match="`latest` first"):
            checkpoints.save(state(1), {})
        with pytest.raises(RuntimeError, match="`latest` first"):
            checkpoints.append("draws", {})
    with pytest.raises(RuntimeError, match="Open"):
        checkpoints.latest()


@pytest.mark.parametrize("name", ["../draws", "a/b", "", "checkpoint", ".hidden"])
def test_a_series_cannot_be_named_out_of_the_directory(name, tmp_path):
    with Checkpoints(tmp_path, ENTRIES) as checkpoints:
        checkpoints.latest()
        with pytest.raises(ValueError, match="series"):
            checkpoints.append(name, {})


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_a_full_disk_is_one_line_and_leaves_the_old_checkpoint(call, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    run(tmp_path, 2)
    before = names(tmp_path)
    with Checkpoints(tmp_path, ENTRIES) as checkpoints:
        checkpoints.latest()
        with monkeypatch.context() as patched:
            patched.setattr(os, call, fail)
            for save in (checkpoints.save, functools.partial(checkpoints.append, "draws")):
                with pytest.raises(OSError, match=r"Could not write .*: No space left") as caught:
                    save(*([state(3), {}] if save == checkpoints.save else [state(3)]))
                assert "\n" not in str(caught.value)
        assert names(tmp_path) == before
        checkpoints.save(state(3), {})
    assert resumed(tmp_path) == (3, [1, 2])


def test_a_directory_that_cannot_be_used_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    for bad in ("none/run", "file", "file/run"):
        with pytest.raises(OSError, match=r"Could not keep checkpoints in .*: [A-Z]") as caught:
            Checkpoints(tmp_path / bad, ENTRIES).open()
        assert "\n" not in str(caught.value)


def test_what_a_killed_writer_left_is_removed(tmp_path):
    run(tmp_path, 1)
    (tmp_path / ".posterium-0123.tmp").write_bytes(b"half")
    (tmp_path / "notes.txt").write_text("the user's own")
    assert resumed(tmp_path) == (1, [1])
    assert ".posterium-0123.tmp" not in names(tmp_path)
    assert "notes.txt" in names(tmp_path)


HOLDER = """
import sys, time
from posterium.driver.checkpoint import Checkpoints
with Checkpoints(sys.argv[1], {}) as checkpoints:
    print("locked", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_refused_until_the_first_is_dead(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(CheckpointLocked, match="in use by another fit"):
            Checkpoints(tmp_path, ENTRIES).open()
        holder.kill()
        holder.wait()
        assert resumed(tmp_path) == (0, [])


def test_a_second_fit_in_the_same_process_is_refused_until_the_first_closes(tmp_path):
    with Checkpoints(tmp_path, ENTRIES):
        with pytest.raises(CheckpointLocked, match="directory of its own"):
            Checkpoints(tmp_path, ENTRIES).open()
    assert resumed(tmp_path) == (0, [])


@pytest.mark.parametrize("entry", ENTRIES)
def test_another_fit_is_refused_and_what_differs_is_named(entry, tmp_path):
    run(tmp_path, 2)
    other = ENTRIES | {entry: "c" * 64}
    with Checkpoints(tmp_path, other) as checkpoints:
        with pytest.raises(CheckpointMismatch, match=rf"what differs: {entry}\. Use") as c:
            checkpoints.latest()
    assert "ccc" not in str(c.value)
    assert resumed(tmp_path) == (2, [1, 2])


def test_an_entry_more_or_less_is_a_difference(tmp_path):
    run(tmp_path, 1)
    with Checkpoints(tmp_path, ENTRIES | {"devices": "2"}) as checkpoints:
        with pytest.raises(CheckpointMismatch, match=r"devices \(was none, is 2\)"):
            checkpoints.latest()


@struct
class Settings:
    rate: Any = 0.1
    width: int = static(default=3)
    call: Any = static(default=None)


class Plain:
    def __init__(self, width):
        self.width = width


def double(x):
    return 2 * x


ARRAY = np.arange(6.0)
DISTINCT = [
    None,
    0,
    0.0,
    False,
    "0",
    (),
    [],
    {},
    {0},
    {0, 1},
    ARRAY,
    ARRAY.astype("f4"),
    ARRAY.astype("i8"),
    ARRAY.reshape(2, 3),
    ARRAY + 1e-15,
    list(ARRAY),
    [ARRAY[:3], ARRAY[3:]],
    [[1], 2],
    [[1, 2]],
    {"a": 1, "b": 2},
    {"a": 2, "b": 1},
    {"ab": 1},
    Settings(),
    Settings(rate=0.2),
    Settings(width=4),
    Settings(call=double),
    Settings(call=len),
    Settings(call=functools.partial(double, 1)),
    Settings(call=functools.partial(double, 2)),
    Plain(3),
    Plain(4),
    double,
    jax.random.key(0),
    jax.random.key(1),
    jax.random.key_data(jax.random.key(0)),
    jax.tree_util.Partial(double, 1),
    jax.tree_util.Partial(double, 2),
    jax.tree_util.Partial(len, 1),
]


def test_different_values_have_different_fingerprints():
    found = [fingerprint_of(value) for value in DISTINCT]
    assert len(set(found)) == len(found)
    assert all(len(text) == 64 for text in found)


def test_texts_that_run_together_are_told_apart():
    class Named:
        def __init__(self, text):
            self.text = text

        def __repr__(self):
            return self.text

    kind = f"{Named.__module__}.{Named.__qualname__} 0"
    left, right = [Named("a" + kind), Named("b")], [Named("a"), Named(kind + "b")]
    assert fingerprint_of(left) != fingerprint_of(right)


def test_equal_values_have_equal_fingerprints():
    assert fingerprint_of({"a": 1, "b": 2}) == fingerprint_of({"b": 2, "a": 1})
    assert fingerprint_of(jax.numpy.arange(3)) == fingerprint_of(np.arange(3, dtype="i4"))
    assert fingerprint_of(ARRAY.reshape(2, 3).T) == fingerprint_of(ARRAY.reshape(2, 3).T.copy())
    assert fingerprint_of([Plain(3), Settings(call=double)]) == fingerprint_of(
        [Plain(3), Settings(call=double)]
    )


def test_fingerprints_do_not_depend_on_the_process():
    code = """
from functools import partial
import jax, numpy as np
from posterium.driver.checkpoint import fingerprint_of
from posterium.model.model import Model
from posterium.model.network import MLP, Functions
class Own:
    def __init__(self): self.names = {"alpha", "beta", "gamma"}; self.call = lambda x: x
network = Functions(lambda key, x: x, jax.nn.relu)
tree = {"z": np.ones(3), "a": [MLP(), network, Own()], "set": frozenset("abcdef")}
tree["f"] = partial(lambda x: x)
print(fingerprint_of(tree))
"""
    found = set()
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        ran = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        )
        found.add(ran.stdout)
    assert len(found) == 1


def test_no_warning_without_damage(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(tmp_path, 2)
        assert resumed(tmp_path) == (2, [1, 2])
