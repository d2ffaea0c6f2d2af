"""Who imports whom, read from the source; and what `import posterium` sets off, seen in a child."""

import ast
import json
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from importlib.util import find_spec
from pathlib import Path

import pytest

import posterium

PACKAGE = Path(posterium.__file__).parent

# Each layer may import the ones before it; rooms that share a layer may not import one another.
LAYERS = (
    {"_struct"},
    {"numerics"},
    {"model"},
    {"posterior"},
    {"evaluate"},
    {"driver"},
    {"phases"},
    {"methods"},
    {"combinators"},
    {"plots", "tables"},
    {"datasets", "estimators"},
    {"report", "recipes"},
    {"cli"},
)
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
MAY_IMPORT_ROOT = {"recipes", "cli", "__main__"}
NEED_TORCH = {f"posterium.model.adapters.aten.{name}" for name in ("export", "source")}
HEAVY = ("torch", "sklearn", "blackjax", "polars", "matplotlib", "typer", "jinja2")


def module_name(file, package):
    parts = ("posterium", *file.relative_to(package).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(tree, modules):
    """Yield what a file imports of the package, imports inside functions included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield "relative"
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in modules else node.module


def import_graph(package):
    files = {module_name(file, package): file for file in sorted(package.rglob("*.py"))}
    return {
        name: {
            target
            for target in imported(ast.parse(file.read_text()), files)
            if target == "relative" or target.split(".")[0] == "posterium"
        }
        for name, file in files.items()
    }


def room(module):
    return module.removeprefix("posterium.").split(".")[0]


def fault(source, target):
    """Say what is wrong with an arrow, or return None."""
    if target == "relative":
        return f"{source}: import by the full name"
    if target == "posterium":
        return None if room(source) in MAY_IMPORT_ROOT else f"{source} imports the package root"
    if source == "posterium" or room(source) == "__main__":
        return None
    unknown = {room(source), room(target)} - LEVEL.keys()
    if unknown:
        return f"{source} -> {target}: {unknown.pop()} has no place among the layers"
    if room(source) == room(target):
        between_methods = room(source) == "methods"
        return (
            f"{source} -> {target}: methods do not import one another" if between_methods else None
        )
    upward = LEVEL[room(target)] >= LEVEL[room(source)]
    return f"{source} -> {target} points the wrong way" if upward else None


def faults(graph):
    found = (fault(source, target) for source, targets in graph.items() for target in targets)
    return sorted(filter(None, found))


def loop(graph):
    """Return the modules of one import loop, or nothing. The root's lazy names are not imports."""
    arrows = {
        name: targets - {"posterium"} for name, targets in graph.items() if name != "posterium"
    }
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def child(code):
    """Run code in a fresh interpreter and return the JSON value it prints."""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_every_import_points_to_a_layer_below():
    assert faults(import_graph(PACKAGE)) == []


def test_no_imports_go_round_in_a_loop():
    assert loop(import_graph(PACKAGE)) == []


@pytest.mark.parametrize(
    ("file", "line", "complaint"),
    [
        ("numerics/a.py", "from posterium.model.data import Data", "wrong way"),
        ("numerics/a.py", "def f():\n    import posterium.driver.run", "wrong way"),
        ("plots/a.py", "from posterium.tables import csv", "wrong way"),
        ("methods/a.py", "from posterium.methods.vi import VI", "one another"),
        ("methods/a.py", "from posterium.methods import vi", "one another"),
        ("methods/a.py", "import posterium", "package root"),
        ("methods/a.py", "from posterium import fit", "package root"),
        ("model/a.py", "from . import data", "full name"),
        ("attic/a.py", "from posterium.model import data", "no place"),
    ],
)
def test_a_planted_wrong_import_is_found(tmp_path, file, line, complaint):
    for name, text in (("methods/vi.py", ""), ("model/data.py", ""), (file, line)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    found = faults(import_graph(tmp_path))
    assert len(found) == 1
    assert complaint in found[0]


def test_allowed_imports_are_let_through(tmp_path):
    lines = {
        "methods/map.py": "from posterium.phases.descent import descend",
        "methods/vi.py": "from posterium.model import data\nimport numpy.linalg",
        "recipes/r1.py": "import posterium as ps",
    }
    for name, line in lines.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(line)
    assert faults(import_graph(tmp_path)) == []


def test_a_planted_loop_is_found(tmp_path):
    (tmp_path / "a.py").write_text("import posterium.b")
    (tmp_path / "b.py").write_text("def f():\n    from posterium.a import g")
    assert set(loop(import_graph(tmp_path))) == {"posterium.a", "posterium.b"}


def test_import_posterium_loads_no_heavy_package_and_starts_no_device():
    code = f"""
import json, sys
import posterium
from jax._src import xla_bridge
loaded = [name for name in {HEAVY!r} if name in sys.modules]
print(json.dumps([loaded, xla_bridge.backends_are_initialized()]))
"""
    assert child(code) == [[], False]


def test_importing_every_module_starts_no_device_and_changes_no_setting():
    modules = [name for name in import_graph(PACKAGE) if not name.endswith("__main__")]
    if not find_spec("torch"):
        modules = [name for name in modules if name not in NEED_TORCH]
    code = f"""
import importlib, json
import jax
from jax._src import xla_bridge
before = dict(jax.config.values)
for name in {modules!r}:
    importlib.import_module(name)
changed = [name for name, value in jax.config.values.items() if before.get(name, value) != value]
print(json.dumps([xla_bridge.backends_are_initialized(), changed]))
"""
    assert child(code) == [False, []]


def test_every_public_name_can_be_reached():
    assert posterium.__all__
    for name in posterium.__all__:
        assert getattr(posterium, name) is not None
    assert set(posterium.__all__) <= set(dir(posterium))
