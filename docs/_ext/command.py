"""The directive ``{command}``: commands run while the page is built, shown with what they print.

All commands of a page run in one folder, in their order, beside the page's ``files``. One that
does not end with ``status`` fails the build. What ``keep`` names goes along with the pages, as
``kept/NAME``.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class Command(SphinxDirective):
    """Run each line of the content, and show it with its output."""

    has_content = True
    option_spec: ClassVar = {
        "files": directives.unchanged,
        "keep": directives.unchanged,
        "status": directives.nonnegative_int,
    }

    def run(self) -> list[nodes.Node]:
        """Return one literal block."""
        folder = self._folder()
        for name in self.options.get("files", "").split():
            shutil.copy(self.env.relfn2path(name)[1], folder)
        text = "\n".join(part for line in self.content for part in self._shown(line, folder))
        for name in self.options.get("keep", "").split():
            kept = Path(self.env.app.outdir) / "kept"
            kept.mkdir(exist_ok=True)
            shutil.copy(folder / name, kept)
        return [nodes.literal_block(text, text, language="console")]

    def _folder(self) -> Path:
        page = self.env.temp_data
        if "command_folder" not in page:
            page["command_folder"] = tempfile.mkdtemp(prefix="posterium-docs-")
        return Path(page["command_folder"])

    def _shown(self, line: str, folder: Path) -> list[str]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            line, shell=True, cwd=folder, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, check=False,
            env=os.environ | {"PATH": path, "PYTHONUNBUFFERED": "1", "COLUMNS": "100"},
        )  # fmt: skip
        if done.returncode != self.options.get("status", 0):
            raise self.error(f"{line}\nended with {done.returncode}:\n{done.stdout}")
        return [f"$ {line}", *done.stdout.rstrip().splitlines()]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("command", Command)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
