"""Files made by a grammar and then damaged: each is read, or refused in two lines."""

import gzip
import io
import random

import numpy as np
import polars as pl
import pytest

from posterium.posterior import store
from posterium.tables.encode import fit_spec
from posterium.tables.errors import UserError
from posterium.tables.read import read_table

CELLS = ["", "NA", "1e400", "-inf", "1,5", '"1,5"', "5 kg", "yes", "true", "=1+1", "2024-01-31"]
CELLS += ["é", "\x1b[2J", '"', '""', '"a\nb"', "9" * 400, "1e-400", "٣", "x" * 3000, "\u2028"]
BYTES = b'\x00\n\r",;\t \xff\xc3\xef\xbb\xbf-.e1"""\x1f\x8b'


def valid(draw):
    n, d = draw.randint(0, 12), draw.randint(1, 4)
    names = [f"c{i}" for i in range(d)] + ["y"]
    kinds = [draw.choice(["number", "integer", "boolean", "text"]) for _ in names]
    make = {
        "number": lambda: repr(draw.gauss(0, 10.0 ** draw.randint(-12, 12))),
        "integer": lambda: str(draw.randint(0, 3)),
        "boolean": lambda: draw.choice(["yes", "no"]),
        "text": lambda: draw.choice("ab"),
    }
    return [names, *([make[kind]() for kind in kinds] for _ in range(n))]


def mutated(draw):
    rows = valid(draw)
    for _ in range(draw.choice([0, 0, 1, 1, 2])):
        row = draw.choice(rows)
        edit = draw.choice(["cell", "cell", "drop", "add", "copy"])
        if edit == "cell" and row:
            row[draw.randrange(len(row))] = draw.choice(CELLS)
        elif edit == "drop" and row:
            row.pop()
        elif edit == "add":
            row.append(draw.choice(CELLS))
        else:
            rows.append(draw.choice(rows))
    separator = draw.choice(",,,,;\t|")
    content = draw.choice(["\n", "\r\n", "\r"]).join(separator.join(row) for row in rows).encode()
    content = damaged(draw, content)
    return gzip.compress(content, mtime=0) if draw.random() < 0.1 else content


def parquet(draw):
    rows = valid(draw)
    cells = list(zip(*rows[1:], strict=True)) or [()] * len(rows[0])
    types = [pl.String, pl.Categorical, pl.Float64, pl.Int8, pl.Date, pl.List(pl.String)]
    frame = pl.DataFrame(
        [
            pl.Series(name, column, dtype=pl.String)
            if draw.random() < 0.6
            else pl.Series(name, [None] * len(column), dtype=draw.choice(types))
            if draw.random() < 0.3
            else pl.Series(name, [draw.gauss(0, 1) for _ in column])
            for name, column in zip(rows[0], cells, strict=True)
        ]
    )
    out = io.BytesIO()
    frame.write_parquet(out)
    return damaged(draw, out.getvalue())


def damaged(draw, content):
    """Return content with some bytes changed, most often none."""
    for _ in range(draw.choice([0, 0, 0, 1, 3])):
        at = draw.randint(0, len(content))
        cut = at + draw.randint(0, 2)
        content = content[:at] + bytes(draw.choices(BYTES, k=draw.randint(0, 2))) + content[cut:]
    return content


def options(draw):
    """Return options for reading, and for encoding; most of them the default."""

    def some(default, *others):
        return default if draw.random() < 0.8 else draw.choice(others)

    reading = {
        "header": some(True, False),
        "separator": some(None, ",", ";", "tab", "e"),
        "decimal": some(".", ","),
        "encoding": some("utf-8", "latin-1", "utf-16", "cp1252", "none"),
        "target": some(None, "y"),
    }
    encoding = {
        "task": some(None, "regression", "classification"),
        "missing": draw.choice(["refuse", "drop", "impute"]),
        "unseen": draw.choice(["refuse", "other"]),
        "categorical": some((), ("c0",), ("c1", "c9")),
        "drop": some((), ("c1",), ("c0", "y")),
    }
    return reading, encoding


def fitted(path, reading, encoding):
    """Read a table and encode it, as a fit does."""
    table = read_table(path, **reading)
    spec, notes = fit_spec(table, "y" if reading["header"] else "1", **encoding)
    kept = table.take(spec.complete(table))
    x, y = spec.features.encode(kept), spec.target(kept)
    assert x.shape == (len(kept), len(spec.features.names))
    assert y.shape == (len(kept),)
    assert np.isfinite(x).all()
    assert np.isfinite(y).all()
    assert (spec.features.outside(kept) == 0).all()
    assert all(note.isprintable() for note in (*table.notes, *notes, *spec.unused(table)))
    assert store.decode(*store.encode(spec)) == spec
    return spec


def applied(path, reading, spec):
    """Encode another table, as a prediction does."""
    table = read_table(path, **reading)
    kept = table.take(spec.features.complete(table))
    x = spec.features.encode(kept)
    assert x.shape == (len(kept), len(spec.features.names))
    assert np.isfinite(x).all()
    assert (spec.features.outside(kept) >= 0).all()
    assert all(note.isprintable() for note in spec.features.remarks(table))


def check(refusal):
    what, fix = str(refusal).split("\n")
    assert what.isprintable()
    assert fix.isprintable()
    assert len(what) < 1000


def fuzz(path, draw, count):
    """Return how many of the files were refused, and how many of those to predict for."""
    refused = [0, 0]
    for _ in range(count):
        reading, encoding = options(draw)
        path.write_bytes(parquet(draw) if draw.random() < 0.03 else mutated(draw))
        try:
            spec = fitted(path, reading, encoding)
        except UserError as refusal:
            check(refusal)
            refused[0] += 1
            continue
        path.write_bytes(mutated(draw))
        try:
            applied(path, reading, spec)
        except UserError as refusal:
            check(refusal)
            refused[1] += 1
    return refused


def test_a_mutated_file_is_read_or_refused_in_two_printable_lines(tmp_path):
    refused, then = fuzz(tmp_path / "t.csv", random.Random(20), 500)
    assert 250 < refused < 450
    assert 5 < then < 500 - refused


@pytest.mark.slow
def test_ten_thousand_mutated_files_are_read_or_refused_in_two_printable_lines(tmp_path):
    refused, _ = fuzz(tmp_path / "t.csv", random.Random(21), 10_000)
    assert 5000 < refused < 9000
