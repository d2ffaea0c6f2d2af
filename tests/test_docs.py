"""The documents: their Python runs, their commands parse, their links lead somewhere."""

import inspect
import re
import shlex
from pathlib import Path

import jax
import pytest

import posterium
from posterium._struct import replace
from posterium.combinators import catalogue

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SHORT = 200
"""Steps of the named methods in the documents' examples; what they compute is tested elsewhere."""


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def named(pages):
    return pytest.mark.parametrize("page", pages, ids=lambda page: page.stem)


def run_blocks(page):
    """Run the blocks of a page one after another, as a reader would; return their namespace."""
    space = {"__name__": f"page_{page.stem.replace('-', '_')}"}
    for block in blocks(page, "python"):
        exec(compile(block, str(page), "exec"), space)
    return space


@pytest.fixture
def quick(monkeypatch, tmp_path):
    descent, mode = catalogue.descent, catalogue._mode
    short = {"steps": SHORT}
    monkeypatch.setattr(catalogue, "descent", lambda rows, **s: descent(rows, **short | s))
    monkeypatch.setattr(catalogue, "_mode", lambda rows: replace(mode(rows), **short))
    monkeypatch.chdir(tmp_path)


@named([page for page in PAGES if blocks(page, "python")])
@pytest.mark.filterwarnings("ignore::posterium.estimators.ConvergenceWarning")
def test_the_python_of_a_page_runs(page, quick):
    cache = jax.config.jax_compilation_cache_dir
    try:
        run_blocks(page)
    finally:
        jax.config.update("jax_compilation_cache_dir", cache)


@named([page for page in PAGES if "posterium " in "".join(blocks(page, "sh"))])
def test_the_commands_of_a_page_are_understood(page):
    from posterium.cli import app

    lines = "".join(blocks(page, "sh")).replace("\\\n", " ").splitlines()
    for words in (shlex.split(line, comments=True) for line in lines):
        if words[:1] == ["posterium"]:
            assert callable(app.parse(words[1:]))


@named(PAGES)
def test_the_links_of_a_page_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        assert link.startswith("https://") or (page.parent / link).exists(), link


def is_method(found):
    return hasattr(found, "phases") or not inspect.isclass(found)


def test_every_option_of_the_command_line_is_explained():
    import typer

    from posterium.cli.app import app

    text = (ROOT / "docs" / "command-line.md").read_text()
    commands, pending = set(), [typer.main.get_command(app)]
    while pending:
        command = pending.pop()
        commands.add(command.name)
        pending += getattr(command, "commands", {}).values()
        for parameter in command.params:
            for option in (o for o in parameter.opts if o.startswith("--")):
                assert f"`{option}" in text, f"{command.name} {option}"
    assert all(name in text for name in commands)


def test_every_method_and_combinator_is_in_the_page_on_choosing():
    text = (ROOT / "docs" / "choosing.md").read_text()
    homes = ("methods.", "combinators.")
    public = {n: getattr(posterium, n) for n, h in posterium._HOME.items() if h.startswith(homes)}
    settings = {n for n, found in public.items() if not is_method(found)}
    assert settings == {"KLSchedule"}
    assert not [n for n in public.keys() - settings if f"`{n}(" not in text]
    assert not [n for n in catalogue.ENTRIES if f"`{n}`" not in text]
