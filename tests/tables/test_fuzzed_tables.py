import gzip
import random

import numpy as np

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
    content = draw.choice(["\n", "\r\n", "\r"]).join(",".join(row) for row in rows).encode()
    for _ in range(draw.choice([0, 0, 0, 1, 3])):
        at = draw.randint(0, len(content))
        cut = at + draw.randint(0, 2)
        content = content[:at] + bytes(draw.choices(BYTES, k=draw.randint(0, 2))) + content[cut:]
    return gzip.compress(content, mtime=0) if draw.random() < 0.1 else content


def encode(path, task):
    table = read_table(path)
    spec, notes = fit_spec(table, "y", task)
    x, y = spec.features(table), spec.target(table)
    assert x.shape == (len(table), len(spec.feature_names))
    assert y.shape == (len(table),)
    assert np.isfinite(x).all()
    assert np.isfinite(y).all()
    assert all(note.isprintable() for note in notes)


def test_a_mutated_file_is_read_or_refused_in_two_printable_lines(tmp_path):
    draw = random.Random(20)
    path = tmp_path / "t.csv"
    refused = 0
    for _ in range(200):
        path.write_bytes(mutated(draw))
        try:
            encode(path, draw.choice([None, None, "regression", "classification"]))
        except UserError as refusal:
            refused += 1
            what, fix = str(refusal).split("\n")
            assert "t.csv" in what
            assert what.isprintable()
            assert fix
            assert len(what) < 1000
    assert 60 < refused < 180
