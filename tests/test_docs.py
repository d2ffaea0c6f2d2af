"""The documents: their Python runs, their commands run, their links lead somewhere."""

import inspect
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import pytest

import posterium
from posterium._struct import replace
from posterium.combinators import catalogue

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md")), *sorted(DOCS.glob("[!_]*/*.md"))]
METHOD_PAGES = sorted(DOCS.glob("methods/*.md"))
GLOBS = (
    "methods/* networks/* write-* priors convergence figures recalibration scores uncertainty "
    "decisions watching"
)
LONG = [page for glob in GLOBS.split() for page in DOCS.glob(f"{glob}.md")]
QUICK = {"methods/exact", "write-your-own-likelihood"}
"""Long pages that run in the quick tests; the build of the documents runs all of them."""
STEPS = 200
"""Steps of the named methods in the documents' examples; what they compute is tested elsewhere."""


def blocks(page, *languages):
    """Return the contents of a page's fenced blocks, without the options of a directive."""
    named = "|".join(map(re.escape, languages))
    found = re.findall(rf"^```(?:{named})\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    return [re.sub(r"\A(:\w+:.*\n)+\n", "", block) for block in found]


def code(page):
    return blocks(page, "python", "{code-cell} python")


def commands(page):
    lines = "".join(blocks(page, "sh", "{command}")).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.startswith("posterium ")]


def named(pages):
    return pytest.mark.parametrize("page", pages, ids=name_of)


def name_of(page):
    return page.relative_to(ROOT).with_suffix("").as_posix().removeprefix("docs/")


def timed(pages):
    """Return the pages as cases; most of methods and networks are marked: they take long."""
    slow = [page for page in LONG if name_of(page) not in QUICK]
    return [pytest.param(p, marks=[pytest.mark.slow] if p in slow else []) for p in pages]


def shown_commands(page):
    """Return options and lines of each block of commands that is run for the page."""
    found = re.findall(r"^```\{command\}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    return [
        (dict(re.findall(r"^:(\w+): (.*)$", block, re.MULTILINE)),
         [line for line in block.splitlines() if line and not line.startswith(":")])
        for block in found
    ]  # fmt: skip


def run_blocks(page):
    """Run the blocks of a page one after another, as a reader would."""
    space = {"__name__": f"page_{page.stem.replace('-', '_')}"}
    with jax.numpy_rank_promotion("allow"):
        for block in code(page):
            exec(compile(block, str(page), "exec"), space)


@pytest.fixture
def quick(monkeypatch, tmp_path):
    descent, mode = catalogue.descent, catalogue._mode
    short = {"steps": STEPS}
    monkeypatch.setattr(catalogue, "descent", lambda rows, **s: descent(rows, **short | s))
    monkeypatch.setattr(catalogue, "_mode", lambda rows: replace(mode(rows), **short))
    monkeypatch.chdir(tmp_path)


@named(timed([page for page in PAGES if code(page)]))
@pytest.mark.filterwarnings("ignore::posterium.estimators.ConvergenceWarning")
def test_the_python_of_a_page_runs(page, quick):
    from matplotlib import pyplot

    cache = jax.config.jax_compilation_cache_dir
    try:
        run_blocks(page)
    finally:
        jax.config.update("jax_compilation_cache_dir", cache)
        pyplot.close("all")


@named([page for page in PAGES if commands(page)])
def test_the_commands_of_a_page_are_understood(page):
    from posterium.cli import app

    for line in commands(page):
        assert callable(app.parse(shlex.split(line, comments=True)[1:]))


@named([page for page in PAGES if shown_commands(page)])
def test_the_commands_that_a_page_shows_with_their_output_run(page, quick, monkeypatch):
    from posterium.cli import main

    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    for options, lines in shown_commands(page):
        for name in options.get("files", "").split():
            shutil.copy(page.parent / name, ".")
        for line in lines:
            if line.startswith("posterium "):
                assert main(shlex.split(line)[1:]) == int(options.get("status", 0)), line
            else:
                subprocess.run(line, shell=True, check=True, stdout=subprocess.DEVNULL)
        assert all(Path(name).exists() for name in options.get("keep", "").split())


@named(PAGES)
def test_the_links_of_a_page_lead_somewhere(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        assert link.startswith("https://") or (page.parent / link).exists(), link


def test_the_flow_chart_leads_to_pages():
    links = re.findall(r'href="([^"]+)\.html"', (DOCS / "_static" / "choosing.svg").read_text())
    assert len(links) == 6
    assert all((DOCS / f"{link}.md").exists() for link in links)


def test_every_page_is_in_the_table_of_contents():
    entries = set()
    for page in (DOCS / "index.md", *DOCS.glob("*/index.md")):
        folder = page.parent.relative_to(DOCS)
        for block in blocks(page, "{toctree}"):
            lines = [line for line in block.splitlines() if line and not line.startswith(":")]
            entries |= {(folder / re.sub(r".*<|>", "", line)).as_posix() for line in lines}
    pages = {p.relative_to(DOCS).with_suffix("").as_posix() for p in PAGES[1:]}
    assert entries == pages - {"index"}


def test_the_pages_of_the_methods_share_one_example():
    """But for the one on separated modes, which the shared example has not."""
    shared = [page for page in METHOD_PAGES if page.stem != "parallel-tempering"]
    assert len({code(page)[0] for page in shared}) == 1


def test_every_public_name_is_in_the_reference():
    reference = (DOCS / "api.md").read_text()
    listed = re.findall(r"^\.\. auto(?:class|function):: (\w+)$", reference, re.MULTILINE)
    assert sorted(listed) == sorted(posterium._HOME)


def test_every_work_that_is_cited_is_in_the_bibliography_once():
    entries = re.findall(r"^@\w+\{(\w+),", (DOCS / "references.bib").read_text(), re.MULTILINE)
    cited = set()
    for page in PAGES:
        for keys in re.findall(r"\{cite:[tp]\}`([^`]+)`", page.read_text()):
            cited |= set(keys.split(","))
    assert cited <= set(entries)
    assert len(entries) == len(set(entries))


def is_method(found):
    return hasattr(found, "phases") or not inspect.isclass(found)


def methods():
    homes = ("methods.", "combinators.")
    public = {n: getattr(posterium, n) for n, h in posterium._HOME.items() if h.startswith(homes)}
    settings = {n for n, found in public.items() if not is_method(found)}
    assert settings == {"LargestVariance"}
    return public.keys() - settings


def test_every_method_and_combinator_is_in_the_page_on_choosing_and_has_its_options_on_a_page():
    choosing = (DOCS / "choosing.md").read_text()
    pages = "".join(page.read_text() for page in METHOD_PAGES)
    assert not [n for n in methods() if f"`{n}(" not in choosing]
    assert not [n for n in methods() if not re.search(rf":: posterium\.{n}\n", pages)]
    assert not [n for n in catalogue.ENTRIES if f"`{n}`" not in choosing]


def test_every_option_of_the_command_line_is_explained():
    import typer

    from posterium.cli.app import app

    text = (DOCS / "command-line.md").read_text()
    names, pending = set(), [typer.main.get_command(app)]
    while pending:
        command = pending.pop()
        names.add(command.name)
        pending += getattr(command, "commands", {}).values()
        for parameter in command.params:
            for option in (o for o in parameter.opts if o.startswith("--")):
                assert f"`{option}" in text, f"{command.name} {option}"
    assert all(name in text for name in names)
