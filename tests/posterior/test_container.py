"""The container: whole or absent, the same bytes for the same contents."""

import errno
import json
import os
import re
import resource
import struct
from importlib.metadata import version

import numpy as np
import pytest
from safetensors.numpy import load_file

from posterium.posterior import container
from posterium.posterior.container import FileError

RNG = np.random.default_rng(0)
ARRAYS = {
    "matrix": RNG.normal(size=(3, 4)),
    "singles": RNG.normal(size=5).astype(np.float32),
    "transposed": RNG.normal(size=(2, 3)).T,
    "counts": np.arange(-3, 3),
    "key": np.array([1, 2**32 - 1], np.uint32),
    "mask": np.array([True, False, True]),
    "nothing": np.zeros((0, 3)),
    "scalar": np.array(2.5),
    "extremes": np.array([np.nan, np.inf, -0.0, 5e-324]),
    "big_endian": np.array([1.5, 2.5], ">f8"),
}
META = {"name": "ü/β", "list": [1, 2.5, None, True], "nested": {"b": 1, "a": ["\\", '"']}}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "model.posterium"
    container.write(path, ARRAYS, META)
    return path


def test_what_was_written_is_read_with_types_shapes_and_bits(file):
    arrays, meta = container.read(file)
    assert meta == META
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype.newbyteorder("<")
        assert arrays[name].shape == array.shape
        assert arrays[name].tobytes() == array.astype(arrays[name].dtype).tobytes()
        assert arrays[name].flags.writeable


def test_the_file_is_a_plain_safetensors_file_for_others(file):
    np.testing.assert_array_equal(load_file(file)["matrix"], ARRAYS["matrix"])


def test_equal_contents_give_equal_bytes_in_any_order(file, tmp_path):
    other = tmp_path / "elsewhere"
    container.write(other, dict(reversed(ARRAYS.items())), dict(reversed(META.items())))
    assert other.read_bytes() == file.read_bytes()


def test_wide_arrays_lie_aligned(file):
    data = file.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    assert length % 8 == 0
    assert all(header[name]["data_offsets"][0] % ARRAYS[name].itemsize == 0 for name in ARRAYS)


def test_appended_bytes_are_refused(file):
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(FileError, match="not as long as its header says"):
        container.read(file)


def test_a_newer_format_is_refused_with_both_versions(tmp_path, monkeypatch):
    path = tmp_path / "file"
    monkeypatch.setattr(container, "FORMAT", 7)
    monkeypatch.setattr(container, "version", lambda name: "9.9")
    container.write(path, ARRAYS, META)
    monkeypatch.undo()
    here = version("posterium")
    said = f"format 7, written by posterium 9.9; this is posterium {here}, which reads format 1. "
    with pytest.raises(FileError, match=re.escape(said) + "Install posterium 9.9 or newer"):
        container.read(path)


def test_a_damaged_byte_is_refused_by_the_digest(file):
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(FileError, match="digest does not match"):
        container.read(file)


def test_a_missing_file_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        container.read(tmp_path / "none")


@pytest.mark.parametrize(
    "array", [np.array(["a"]), np.array([None]), np.array([1j]), np.array(0, "M8[s]")]
)
def test_arrays_that_are_not_numbers_are_refused_by_name(array, tmp_path):
    with pytest.raises(TypeError, match="'w' of type"):
        container.write(tmp_path / "file", {"w": array}, {})
    assert os.listdir(tmp_path) == []


def test_nan_in_json_and_a_giant_header_are_refused_at_the_door(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        container.write(tmp_path / "file", {}, {"a": float("nan")})
    with pytest.raises(ValueError, match="as arrays"):
        container.write(tmp_path / "file", {}, "x" * 2**22)
    assert os.listdir(tmp_path) == []


def test_a_quota_in_the_middle_of_a_write_leaves_the_old_file(file):
    old = file.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match=r"Could not write .*model.posterium: ") as caught:
            container.write(file, {"w": np.zeros(1000)}, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.errno == errno.EFBIG
    assert "\n" not in str(caught.value)
    assert file.read_bytes() == old
    assert os.listdir(file.parent) == [file.name]


@pytest.mark.parametrize("call", ["open", "write", "fsync", "replace"])
@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "disk full"), KeyboardInterrupt()])
def test_a_failure_before_the_rename_leaves_the_old_file(call, failure, file, monkeypatch):
    def fail(*_):
        raise failure

    old = file.read_bytes()
    monkeypatch.setattr(os, call, fail)
    with pytest.raises(type(failure)):
        container.write(file, {"w": np.zeros(3)}, {})
    monkeypatch.undo()
    assert file.read_bytes() == old
    assert os.listdir(file.parent) == [file.name]


def test_short_writes_are_completed(file, tmp_path, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, data[:7]))
    container.write(tmp_path / "slow", ARRAYS, META)
    assert (tmp_path / "slow").read_bytes() == file.read_bytes()


def test_a_missing_or_unwritable_directory_is_one_clear_line(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"Could not write .*none/file: No such file"):
        container.write(tmp_path / "none" / "file", {}, {})
    with pytest.raises(OSError, match="Could not write /proc/file: "):
        container.write("/proc/file", {}, {})
    with pytest.raises(IsADirectoryError, match="Could not write"):
        container.write(tmp_path, {}, {})


def test_a_symbolic_link_is_followed_not_replaced(file, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(file)
    container.write(link, {}, {"new": 1})
    assert link.is_symlink()
    assert container.read(file)[1] == {"new": 1}
