"""Files that mean harm: refused with one error class, before anything of theirs is decoded."""

import ast
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors
from safetensors.numpy import save as save_tensors

import posterium
from posterium import MLP, Weights
from posterium.posterior import container
from posterium.posterior.container import FileError
from posterium.posterior.posterior import Point
from posterium.posterior.store import load, save

RNG = np.random.default_rng(0)
PACKAGE = Path(posterium.__file__).parent
HEAD = container._PREFIX + b"0" * 64


def signed(header, body=b""):
    """Return a file with a right digest around any header, as text or JSON, and any body."""
    text = (
        header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()
    )
    text += b" " * (-len(text) % 8)
    data = struct.pack("<Q", len(text)) + text + body
    at = container._DIGEST
    return data[: at.start] + container._digest([data]) + data[at.stop :]


def envelope(meta='{"kind":"model","value":1}', version=container.FORMAT, by='"9.9"'):
    """Return the metadata of a file around any JSON text."""
    text = f'{{"digest":"{"0" * 64}","format":{version},"meta":{meta},"posterium":{by}}}'
    return {"__metadata__": {"posterium": text}}


def model(value):
    """Return a whole and rightly signed model file of any content."""
    return signed(envelope(container.canonical({"kind": "model", "value": value})))


class Canary:
    """Leaves a folder behind when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("canary",)


def objects():
    buffer = io.BytesIO()
    np.save(buffer, np.array([Canary()], object), allow_pickle=True)
    return buffer.getvalue()


def named_objects():
    buffer = io.BytesIO()
    np.savez(buffer, weights=np.array([Canary()], object), allow_pickle=True)
    return buffer.getvalue()


def archive(name, content):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, content)
    return buffer.getvalue()


def tape(kind, **fields):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        member = tarfile.TarInfo("weights")
        member.type = kind
        for name, value in fields.items():
            setattr(member, name, value)
        file.addfile(member)
    return buffer.getvalue()


FOREIGN = {
    "pickle": lambda: pickle.dumps(Canary()),
    "pickle, oldest protocol": lambda: pickle.dumps(Canary(), protocol=0),
    "array of objects": objects,
    "named arrays of objects": named_objects,
    "torch-like archive of a pickle": lambda: archive("model/data.pkl", pickle.dumps(Canary())),
    "archive that climbs out": lambda: archive("../canary", b"x" * 500),
    "archive with an absolute name": lambda: archive("/tmp/canary", b"x" * 500),
    "archive of a ratio of 1000": lambda: archive("weights", bytes(10**7)),
    "tape of a symbolic link": lambda: tape(tarfile.SYMTYPE, linkname="/etc/passwd"),
    "tape of a hard link": lambda: tape(tarfile.LNKTYPE, linkname="../canary"),
    "tape of a device": lambda: tape(tarfile.CHRTYPE, devmajor=1, devminor=5),
    "pickle behind our first bytes": lambda: struct.pack("<Q", 600) + HEAD + pickle.dumps(Canary()),
    "another's tensors": lambda: save_tensors({"w": np.zeros(30)}, {"posterium": "{}"}),
    "a table": lambda: b"a,b\n1,2\n" * 50,
    "nothing": lambda: b"",
}


@pytest.fixture
def spied(monkeypatch):
    """Return the calls of what decodes payload, or runs what a file holds."""
    calls = []

    def spy(place, name):
        real = getattr(place, name)
        monkeypatch.setattr(place, name, lambda *a, **k: (calls.append(name), real(*a, **k))[1])

    for place, name in (
        (safetensors, "deserialize"),
        (np, "frombuffer"),
        (np, "load"),
        (pickle, "load"),
        (pickle, "loads"),
        (zipfile, "ZipFile"),
        (tarfile, "open"),
    ):
        spy(place, name)
    return calls


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_file_is_refused_before_anything_is_decoded(name, spied, tmp_path, monkeypatch):
    content = FOREIGN[name]()
    spied.clear()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    Path("model").write_bytes(content)
    with pytest.raises(FileError, match=r"^model is (not|damaged)"):
        load("model")
    assert spied == []
    assert [os.listdir("."), os.listdir("..")] == [["model"], ["here"]]


def test_the_spies_see_what_is_decoded(spied, tmp_path):
    save(np.zeros(3), tmp_path / "model")
    load(tmp_path / "model")
    assert spied == ["deserialize", "frombuffer"]


def test_what_is_no_regular_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to(tmp_path / "fifo")
    for name in ("fifo", "link", "."):
        with pytest.raises(FileError, match="not a regular file"):
            load(tmp_path / name)
    with pytest.raises(FileError, match="not a regular file"):
        load("/dev/zero")


SIGNED = {
    "a command": {"record": "os.system", "fields": {"command": "mkdir canary"}},
    "a builtin": {"record": "eval", "fields": {"source": "__import__('os').mkdir('canary')"}},
    "another's class": {"record": "subprocess.Popen", "fields": {"args": ["mkdir", "canary"]}},
    "a function of ours": {"record": "posterium.posterior.store.save", "fields": {}},
    "an activation": {"record": MLP.__name__, "fields": {"activation": "os.system"}},
    "a part that calls": {"external": "network", "type": "os.system", "leaves": {}},
    "a path": {"array": "../../canary"},
    "a call": {"call": "os.mkdir", "with": ["canary"]},
}


@pytest.mark.parametrize("name", SIGNED)
def test_a_rightly_signed_file_names_no_code_to_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("model").write_bytes(model(SIGNED[name]))
    with pytest.raises(ValueError, match="model"):
        load("model")
    assert os.listdir(".") == ["model"]


def test_nothing_in_the_package_reads_pickles_or_runs_text():
    banned = {"pickle", "cloudpickle", "dill", "marshal", "shelve", "joblib"}
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not banned & {name.split(".")[0] for name in names}, file
            if isinstance(node, ast.Call):
                called = getattr(node.func, "id", getattr(node.func, "attr", ""))
                assert called not in ("eval", "exec", "__import__"), file
                assert "allow_pickle" not in [k.arg for k in node.keywords], file


def test_truncation_at_every_byte_is_refused(tmp_path):
    path = tmp_path / "model"
    save({"w": RNG.normal(size=400), "names": ["ü", "b"]}, path)
    size = path.stat().st_size
    assert 3500 < size < 4500
    for length in reversed(range(size)):
        os.truncate(path, length)
        with pytest.raises(FileError):
            load(path)


def test_ten_thousand_flipped_bits_are_refused(tmp_path):
    path = tmp_path / "model"
    params = {"kernel": RNG.normal(size=(110, 110)), "bias": RNG.normal(size=110)}
    save({"posterior": Point(Weights(params)), "table": {"a": [1, 2]}}, path)
    data = path.read_bytes()
    assert 95_000 < len(data) < 105_000
    (header,) = struct.unpack("<Q", data[:8])
    bits = [*RNG.integers(8 * (8 + header), size=2_000), *RNG.integers(8 * len(data), size=8_000)]
    with open(path, "r+b", buffering=0) as file:
        for bit in map(int, bits):
            flipped = bytes([data[bit // 8] ^ 1 << bit % 8])
            os.pwrite(file.fileno(), flipped, bit // 8)
            with pytest.raises(FileError):
                load(path)
            os.pwrite(file.fileno(), data[bit // 8 : bit // 8 + 1], bit // 8)
    assert path.read_bytes() == data
    load(path)


NAMED = b'{"dtype":"F64","shape":[1],"data_offsets":[0,8]}'
ONE = {"dtype": "F64", "shape": [1], "data_offsets": [0, 8]}
LIMIT = container._HEADER_LIMIT


def filled(text, by=b" "):
    """Return a header as long as is allowed, of a text that is repeated."""
    return text * ((LIMIT - 300) // len(text)) + by


def deep(opening, closing, depth=10**5):
    return signed(envelope(opening * depth + closing * depth))


def with_arrays(**arrays):
    return signed(envelope() | arrays, bytes(8))


def outer(text):
    """Return a file whose header itself, not its metadata, goes on with some text."""
    whole = json.dumps(envelope(), separators=(",", ":")).encode()
    return signed(whole[:-1] + b',"w":' + text + b"}", bytes(8))


BOMBS = {
    "length 2^63": lambda: struct.pack("<Q", 2**63) + HEAD + b" " * 100,
    "length 2^64 - 1": lambda: struct.pack("<Q", 2**64 - 1) + HEAD + b" " * 100,
    "length beyond the file": lambda: struct.pack("<Q", 2**20) + HEAD + b" " * 100,
    "lists 10^5 deep": lambda: deep("[", "]"),
    "dicts 10^5 deep": lambda: deep('{"a":', "}"),
    "header 10^5 deep": lambda: outer(b"[" * 10**5 + b"]" * 10**5),
    "empty lists": lambda: signed(envelope("[" + filled("[],", "[]") + "]")),
    "empty dicts": lambda: signed(envelope("[" + filled("{},", "{}") + "]")),
    "header of empty dicts": lambda: outer(b"[" + filled(b"{},", b"{}") + b"]"),
    "longer than a header may be": lambda: signed(envelope('"' + "x" * LIMIT + '"')),
    "number of many digits": lambda: signed(envelope("1" * 10**6)),
    "size of many digits": lambda: outer(
        b'{"dtype":"F64","data_offsets":[0,' + b"1" * 10**6 + b"]}"
    ),
    "overflowing shape": lambda: with_arrays(w=ONE | {"shape": [2**62, 2**62]}),
    "wrapping shape": lambda: with_arrays(w=ONE | {"shape": [2**33, 2**31 + 1]}),
    "negative shape": lambda: with_arrays(w=ONE | {"shape": [-1]}),
    "negative offset": lambda: with_arrays(w=ONE | {"data_offsets": [-8, 8]}),
    "offsets in reverse": lambda: with_arrays(w=ONE | {"data_offsets": [8, 0]}),
    "offset beyond the file": lambda: with_arrays(w=ONE | {"data_offsets": [0, 2**60]}),
    "overlapping arrays": lambda: with_arrays(v=ONE, w=ONE),
    "hole": lambda: signed(envelope(), bytes(8)),
    "fractional shape": lambda: with_arrays(w=ONE | {"shape": [1.0]}),
    "unknown type": lambda: with_arrays(w=ONE | {"dtype": "BF16", "shape": [4]}),
    "no offsets": lambda: with_arrays(w={"dtype": "F64"}),
    "array that is a number": lambda: with_arrays(w=3),
    "array named twice": lambda: outer(NAMED + b',"w":' + NAMED),
    "keys named twice": lambda: signed(envelope('{"a":1,"a":2}')),
    "NaN": lambda: signed(envelope("NaN")),
    "infinite number": lambda: signed(envelope("1e999")),
    "unfinished text": lambda: signed(envelope('"')),
    "type of a long name": lambda: with_arrays(w=ONE | {"dtype": "F" * 10**6}),
    "record of a long name": lambda: model({"record": "F" * 10**6, "fields": {}}),
    "no metadata": lambda: signed(
        b'{"__metadata__":{"posterium":"{\\"digest\\":\\"' + b"0" * 64 + b'\\"}"}}'
    ),
    "archive of zeros": lambda: archive("weights", bytes(10**8)),
}
CHILD = """
import json, resource, sys, time
from posterium.posterior import store
folder, names = sys.argv[1], json.loads(sys.argv[2])
store.load(f"{folder}/good")
found = {}
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for number, name in enumerate(names):
    began = time.process_time()
    try:
        store.load(f"{folder}/{number}")
        said = "loaded"
    except store.FileError as error:
        said = str(error)
    found[name] = said, time.process_time() - began
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([found, (after - before) / 1024]))
"""


def test_the_files_of_these_tests_load_without_what_is_wrong_with_them(tmp_path):
    (tmp_path / "plain").write_bytes(signed(envelope()))
    (tmp_path / "array").write_bytes(with_arrays(w=ONE))
    (tmp_path / "text").write_bytes(outer(NAMED))
    assert [load(tmp_path / name) for name in ("plain", "array", "text")] == [1, 1, 1]


def test_header_bombs_are_refused_at_once_and_in_little_memory(tmp_path):
    save(np.zeros(1000), tmp_path / "good")
    for number, make in enumerate(BOMBS.values()):
        (tmp_path / str(number)).write_bytes(make())
    huge, sparse = len(BOMBS), len(BOMBS) + 1
    (tmp_path / str(huge)).write_bytes(struct.pack("<Q", 10**9) + HEAD)
    (tmp_path / str(sparse)).write_bytes((tmp_path / "good").read_bytes())
    os.truncate(tmp_path / str(huge), 10**9 + 8)
    os.truncate(tmp_path / str(sparse), 10**11)
    names = [*BOMBS, "a gigabyte of JSON", "a hundred gigabytes of payload"]
    run = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path), json.dumps(names)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    found, megabytes = json.loads(run.stdout)
    assert [name for name, (said, _) in found.items() if said == "loaded"] == []
    assert {name: t for name, (_, t) in found.items() if t > 1} == {}
    assert all(len(said) < 2000 and "\n" not in said for said, _ in found.values())
    assert megabytes < 100
