"""Container: one file of arrays and JSON that is written whole or not at all.

The file is a safetensors file whose one metadata entry is an envelope of canonical JSON::

    {"digest": <64 hex digits>, "format": 1, "meta": {...}, "posterium": "<version>"}

The digest is the SHA-256 of all bytes of the file with its own 64 characters set to ``0``, so
that a flipped bit or a missing byte anywhere is seen before anything is decoded. Equal contents
give equal bytes. Nothing in a file can name code to run.
"""

import contextlib
import hashlib
import json
import os
import secrets
import struct
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import safetensors

FORMAT = 1
TEMPORARY = ".posterium-*.tmp"
"""What a killed writer leaves behind matches this pattern; it may be removed."""

_HEADER_LIMIT = 2**21
_ZEROS = "0" * 64
_PREFIX = b'{"__metadata__":{"posterium":"{\\"digest\\":\\"'
_DIGEST = slice(8 + len(_PREFIX), 8 + len(_PREFIX) + 64)
_DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "|u1",
    "BOOL": "|b1",
}
BROKEN = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What contents that are not of our kind may raise."""

_NAMES = {text: name for name, text in _DTYPES.items()}

PathLike = str | os.PathLike[str]


class FileError(ValueError):
    """A file that is not one of ours, is damaged or cut short, or is of a newer format."""


def canonical(value: Any) -> str:
    """Return the one JSON text of a value: keys sorted, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def clipped(value: Any) -> str:
    """Return a representation that is short enough for a message, whatever a file held."""
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def write(path: PathLike, arrays: Mapping[str, Any], meta: Any) -> None:
    """Replace a file by one that holds the given arrays and JSON, or leave it as it was.

    The bytes go to a temporary name in the same directory and to the disk before the file takes
    its name; then the directory goes to the disk. When this returns, the new file is durable.

    Parameters
    ----------
    path
        Where to write. A symbolic link is followed.
    arrays
        Arrays of numbers or booleans by name, of any shape.
    meta
        Anything JSON can hold, without NaN and infinities.

    Raises
    ------
    OSError
        The directory is missing or read-only, the disk is full; the old file is untouched.
    """
    parts = _serialise({name: _plain(name, array) for name, array in arrays.items()}, meta)
    try:
        replace_file(path, parts)
    except OSError as error:
        raise OSError(error.errno, f"Could not write {path}: {error.strerror}") from error


def read(path: PathLike) -> tuple[dict[str, np.ndarray], Any]:
    """Return the arrays and the JSON of a file that `write` made.

    Raises
    ------
    FileError
        Everything that can be wrong with the file. Nothing of it has been decoded then.
    FileNotFoundError
        There is no such file.
    """
    try:
        data = _load(path)
        if data[_DIGEST] != _digest([data]):
            raise FileError("is damaged or cut short: its digest does not match its contents.")
        meta = _meta(data)
        arrays = {name: _array(entry) for name, entry in safetensors.deserialize(data)}
    except FileError as error:
        raise FileError(f"{path} {error}") from None
    except (*BROKEN, safetensors.SafetensorError) as error:
        raise FileError(f"{path} is not a valid posterium file: {clipped(error)}") from error
    return arrays, meta


def _plain(name: str, array: Any) -> np.ndarray:
    array = np.asarray(array, order="C")
    array = array.astype(array.dtype.newbyteorder("<"), copy=False)
    if array.dtype.str not in _NAMES or name == "__metadata__":
        raise TypeError(
            f"A file holds arrays of numbers or booleans; got {name!r} of type {array.dtype}. "
            "Convert it first."
        )
    return array


def _serialise(arrays: dict[str, np.ndarray], meta: Any) -> list[Any]:
    """Return the buffers that make up the file, wide types first so that all are aligned."""
    ordered = sorted(arrays.items(), key=lambda item: (-item[1].itemsize, item[0]))
    body = [array.reshape(-1).view(np.uint8) for _, array in ordered]
    header = _header(dict(ordered), meta)
    digest = _digest([header, *body])
    return [header[: _DIGEST.start] + digest + header[_DIGEST.stop :], *body]


def _header(arrays: dict[str, np.ndarray], meta: Any) -> bytes:
    envelope = canonical(
        {"digest": _ZEROS, "format": FORMAT, "meta": meta, "posterium": version("posterium")}
    )
    header: dict[str, Any] = {"__metadata__": {"posterium": envelope}}
    end = 0
    for name, array in arrays.items():
        offsets = [end, end := end + array.nbytes]
        header[name] = {
            "dtype": _NAMES[array.dtype.str],
            "shape": list(array.shape),
            "data_offsets": offsets,
        }
    text = _header_text(header)
    if len(text) > _HEADER_LIMIT:
        raise ValueError(
            f"The JSON of a file may take {_HEADER_LIMIT} bytes; got {len(text)}. "
            "Store long lists of numbers as arrays."
        )
    return struct.pack("<Q", len(text)) + text


def _header_text(header: dict[str, Any]) -> bytes:
    """Return the one text of a header, padded so that arrays are aligned."""
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    return text + b" " * (-len(text) % 8)


def _digest(buffers: list[Any]) -> bytes:
    """Return the digest of a file given in pieces, the whole header in the first."""
    first = memoryview(buffers[0])
    hasher = hashlib.sha256(first[: _DIGEST.start])
    hasher.update(_ZEROS.encode())
    hasher.update(first[_DIGEST.stop :])
    for buffer in buffers[1:]:
        hasher.update(buffer)
    return hasher.hexdigest().encode()


def replace_file(path: PathLike, parts: Sequence[Any]) -> None:
    """Replace a file by one with these bytes in one step, or leave it as it was.

    They are on the disk before the file takes its name; then the directory is. A symbolic link is
    followed.
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(TEMPORARY.replace("*", secrets.token_hex(8)))
    try:
        _write_synced(temporary, parts)
        os.replace(temporary, target)
        sync_directory(target.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _write_synced(path: Path, parts: Sequence[Any]) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        for part in parts:
            rest = memoryview(part)
            while rest.nbytes:
                rest = rest[os.write(handle, rest) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_directory(path: PathLike) -> None:
    """Bring the names in a directory to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _load(path: PathLike) -> bytes:
    """Return the bytes of a file whose header is of our kind and says that it is as long as it is.

    Nothing is read before that but the header.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        raise FileError("is not a regular file.")
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(_DIGEST.stop)
        if len(head) < _DIGEST.stop or head[8 : _DIGEST.start] != _PREFIX:
            raise FileError("is not a posterium file, or was cut short.")
        (length,) = struct.unpack("<Q", head[:8])
        if length > min(size - 8, _HEADER_LIMIT):
            raise FileError("is damaged or cut short: its header does not fit.")
        head += file.read(8 + length - len(head))
        if 8 + length + _payload(json.loads(head[8:])) != size:
            raise FileError("is damaged or cut short: it is not as long as its header says.")
        file.seek(0)
        return file.read(size)


def _payload(header: dict[str, Any]) -> int:
    """Return how many bytes of arrays a header announces."""
    entries = [entry for name, entry in header.items() if name != "__metadata__"]
    return max((int(entry["data_offsets"][1]) for entry in entries), default=0)


def _meta(data: bytes) -> Any:
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    text = header["__metadata__"]["posterium"]
    envelope = json.loads(text)
    if envelope["format"] != FORMAT:
        raise FileError(
            f"has format {envelope['format']}, written by posterium {envelope['posterium']}; "
            f"this is posterium {version('posterium')}, which reads format {FORMAT}. Install "
            f"posterium {envelope['posterium']} or newer."
        )
    if canonical(envelope) != text or _header_text(header) != data[8 : 8 + length]:
        raise FileError("is no file of ours: its JSON is not in the one form that is written.")
    return envelope["meta"]


def _array(entry: dict[str, Any]) -> np.ndarray:
    return np.frombuffer(entry["data"], _DTYPES[entry["dtype"]]).reshape(entry["shape"])
