"""Files and arguments that nobody means: whatever comes, a status and at most three lines."""

import gzip
import io
import random
import re
import subprocess
import sys

import pytest

from posterium.cli import main

PROGRAM = "import sys; from posterium.cli import main; sys.exit(main(sys.argv[1:]))"
FEW, MANY, REAL = 500, 10_000, 100

CELLS = ["", "NA", "?", "1e400", "-inf", "1,5", '"1,5"', "5 kg", "yes", "true", "=1+1", "@sum"]
CELLS += ["2024-01-31", "é", "\x1b[2J", '"', '""', '"a\nb"', "9" * 400, "1e-400", "٣", "x" * 3000]
CELLS += [
    "\u2028",
    "1_000",
    "0x1F",
    "+",
    "-",
    ".",
    "1e",
    "1.2.3",
    "\u200b",
    "1;5",
    "a\tb",
    "\u202e",
]
BYTES = b'\x00\n\r",;\t \xff\xc3\xef\xbb\xbf-.e1"""\x1f\x8b|PAR1'
SEPARATORS = [*[","] * 40, ";", "\t", "|", " ", ":"]
READING = [
    ["--no-header"], ["--header"], ["--separator", ";"], ["--separator", "tab"],
    ["--separator", ","], ["--decimal", ","], ["--encoding", "latin-1"], ["--encoding", "utf-16"],
]  # fmt: skip
RULES = [
    ["--missing", "drop"], ["--missing", "impute"], ["--missing", "refuse"],
    ["--unseen", "other"], ["--unseen", "refuse"],
]  # fmt: skip
FITTING = [
    ["--task", "regression"], ["--task", "classification"], ["--categorical", "left"],
    ["--drop", "right"], ["--test-fraction", "0"], ["--test-fraction", "0.5"],
]  # fmt: skip


def column(draw, n):
    """Return the cells of a column, most of one kind."""
    kind = draw.choice(["number"] * 8 + ["integer", "boolean", "text", "words"])
    size = 10.0 ** draw.randint(-12, 12)
    make = {
        "number": lambda: repr(draw.gauss(0, size)),
        "integer": lambda: str(draw.randint(0, 3)),
        "boolean": lambda: draw.choice(["yes", "no"]),
        "text": lambda: draw.choice(["red", "green", "blue"]),
        "words": lambda: f"w{draw.randint(0, 99999)}x",
    }
    return [make[kind]() for _ in range(n)]


def table(draw):
    """Return the bytes of a table, most often one with something wrong in it."""
    n = draw.choice([0, 1, 2, 9, 25, 25, 25, 25])
    names = draw.choice([["left", "right", "y"]] * 8 + [["y", "left"], ["a", "y"], ["left"]])
    rows = [list(row) for row in zip(*(column(draw, n) for _ in names), strict=True)]
    rows = [list(names), *rows]
    for _ in range(draw.choice([0, 0, 0, 1, 1, 2])):
        row = draw.choice(rows)
        edit = draw.choice(["cell", "cell", "cell", "drop", "add", "copy"])
        if edit == "cell" and row:
            row[draw.randrange(len(row))] = draw.choice(CELLS)
        elif edit == "drop" and row:
            row.pop()
        elif edit == "add":
            row.append(draw.choice(CELLS))
        else:
            rows.append(draw.choice(rows))
    mark, end = draw.choice(SEPARATORS), draw.choice(["\n", "\n", "\n", "\r\n", "\r"])
    text = end.join(mark.join(row) for row in rows)
    return mutated(draw, text.encode(draw.choice(["utf-8"] * 30 + ["utf-16", "utf-8-sig"])))


def mutated(draw, content):
    """Return bytes with some replaced, removed or put in; sometimes compressed."""
    for _ in range(draw.choice([0, 0, 0, 0, 0, 1, 3])):
        at = draw.randint(0, len(content))
        cut = at + draw.randint(0, 2)
        content = content[:at] + bytes(draw.choices(BYTES, k=draw.randint(0, 2))) + content[cut:]
    if draw.random() < 0.1:
        content = gzip.compress(content, mtime=0)
        content = content[: draw.choice([len(content)] * 3 + [draw.randint(0, len(content))])]
    return content


def options(draw, known, most):
    """Return some of the known options, each a list of words, in a row."""
    return [word for option in draw.sample(known, draw.randint(0, most)) for word in option]


def command_on_a_file(draw, path, model):
    """Return arguments that are in order, for a file that may not be."""
    path.write_bytes(table(draw))
    reading = options(draw, READING, 1) if draw.random() < 0.2 else []
    reading += options(draw, RULES, 2) if draw.random() < 0.5 else []
    if draw.random() < 0.3:
        return [draw.choice(["predict", "evaluate"]), str(model), str(path), *reading]
    fitting = options(draw, FITTING, 2) if draw.random() < 0.5 else []
    return ["fit", str(path), "--target", "y", "--method", "map", *reading, *fitting]


NAMES = [
    "--target", "--task", "--method", "--set", "--likelihood", "--prior", "--prior-precision",
    "--noise-sd", "--precision", "--out", "--predictions", "--json", "--report",
    "--test-fraction", "--refit", "--draws", "--seed", "--checkpoint", "--no-header", "--header",
    "--separator", "--decimal", "--encoding", "--missing", "--unseen", "--categorical", "--drop",
    "--strict", "--overwrite", "--level", "--help", "--version", "--bogus", "-x", "--", "--fast",
]  # fmt: skip
VALUES = [
    "", " ", "0", "-1", "1", "3", "0.5", "1e12", "1e999", "nan", "ten", "é", "\x1b[31m", "a" * 5000,
    "y", "left", "right", "no/such/f", "f", ".", "..", "exact", "default", "bogus", "regression",
    "classification", "gaussian", "categorical", "steps=3", "steps=", "=", "of.steps=1e9",
    "rounds=null", "drop", "impute", "refuse", "other", ";", "tab", ",,", "utf-8", "utf-7", "idna",
    "base64", "rot13", "float64", "float16", "\udcff", "%s", "{}", "\u202e",
    "18446744073709551615",
]  # fmt: skip
COMMANDS = [
    "fit",
    "fit",
    "fit",
    "predict",
    "evaluate",
    "report",
    "info",
    "methods",
    "recipe",
    "bog",
]


def arguments(draw, data, model):
    """Return a list of arguments, half of them nearly in order."""
    if draw.random() < 0.5:
        argv = ["fit", data, "--target", "y", "--method", "exact"]
        for _ in range(draw.randint(1, 3)):
            argv += [draw.choice(NAMES), draw.choice(VALUES)][: draw.choice([1, 2, 2, 2])]
        return argv
    words = draw.choices([*NAMES, *VALUES, data, model], k=draw.randint(0, 6))
    argv = draw.choice([[], [draw.choice(COMMANDS)]]) + words
    if argv[:1] in (["predict"], ["evaluate"], ["report"]) and draw.random() < 0.7:
        argv[1:1] = [model, data]
    return argv


class Reached(BaseException):
    """The command came as far as the fit."""


@pytest.fixture
def told(run, monkeypatch, tmp_path):
    """Return a function that runs a command up to a fit; it returns status, None there, and err."""

    def stop(*given, **options):
        raise Reached

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("posterium.cli.request.fit_table", stop)
    monkeypatch.setattr("posterium.cli.request.space.sizes", lambda *given: (0, 0))
    monkeypatch.setattr("posterium.cli.report.report", lambda *given, **options: None)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"left,y\n1,2\n")))

    def call(argv):
        try:
            status, _, err = run(*argv)
        except Reached:
            return None, run.said().err
        return status, err

    return call


@pytest.fixture(scope="module")
def model(numbers, tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz") / "m.posterium"
    argv = ["fit", str(numbers), "--target", "y", "--method", "exact", "--out", str(path)]
    assert main(argv) == 0
    return path


def check(status, err, argv):
    """Check what a command said: its status is known, and a refusal is short and printable."""
    assert status in (None, 0, 1, 2), (argv, err)
    assert "Traceback" not in err, (argv, err)
    assert "fault of posterium" not in err, (argv, err)
    notes = ("note: ", "warning: ")
    lines = [line for line in err.splitlines() if not line.startswith(notes)]
    assert len(lines) <= 3, (argv, err)
    assert all(line.isprintable() and len(line) < 2000 for line in lines), (argv, err)
    if status in (1, 2):
        assert len(lines) >= 2, (argv, err)


def files(told, tmp_path, model, count, seed, real=0):
    """Run commands on so many files; return how many came to a fit, were done, were refused."""
    draw, path = random.Random(seed), tmp_path / "t.csv"
    seen = dict.fromkeys((None, 0, 1, 2), 0)
    for i in range(count):
        argv = command_on_a_file(draw, path, model)
        status, err = told(argv)
        check(status, err, argv)
        seen[status] += 1
        if status == 2:
            assert re.search(r"t\.csv|separator|The target", err), (argv, err)
        if real and i % real == 0:
            check_real(argv, status, err)
    return seen


def lists(told, tmp_path, numbers, model, count, seed, real=0):
    """Run so many lists of arguments; return how many came to a fit, were done, were refused."""
    draw = random.Random(seed)
    seen = dict.fromkeys((None, 0, 1, 2), 0)
    for i in range(count):
        argv = arguments(draw, str(numbers), str(model))
        status, err = told(argv)
        check(status, err, argv)
        seen[status] += 1
        if real and i % real == 0:
            check_real(argv, status, err)
        for left in ("f", "report.html"):
            (tmp_path / left).unlink(missing_ok=True)
    return seen


def check_real(argv, status, err):
    """Check that the command in a process of its own says the same, or fits."""
    argv = [sys.executable, "-c", PROGRAM, *argv]
    found = subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, timeout=300)
    said = found.stderr.decode()
    check(found.returncode, said, argv)
    if status in (0, 2) and "standard input" not in err:
        assert (found.returncode, said) == (status, err), argv


def test_fuzzed_files_are_read_or_refused_in_a_few_lines(told, tmp_path, model):
    seen = files(told, tmp_path, model, FEW, seed=1)
    assert min(seen[None], seen[0], seen[2]) > FEW // 50, seen
    assert seen[1] == 0


def test_fuzzed_arguments_are_taken_or_refused_in_a_few_lines(told, tmp_path, numbers, model):
    seen = lists(told, tmp_path, numbers, model, FEW, seed=2)
    assert min(seen[None], seen[0], seen[2]) > FEW // 50, seen
    assert seen[1] == 0


@pytest.mark.slow
def test_very_many_fuzzed_files_are_read_or_refused(told, tmp_path, model):
    files(told, tmp_path, model, MANY, seed=3, real=REAL)


@pytest.mark.slow
def test_very_many_fuzzed_arguments_are_taken_or_refused(told, tmp_path, numbers, model):
    lists(told, tmp_path, numbers, model, MANY, seed=4, real=REAL)
