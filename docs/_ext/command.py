"""The directive ``{command}``: commands run while the page is built, shown with what they print.

All commands of a page run in one empty folder, in their order. One that fails fails the build.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class Command(SphinxDirective):
    """Run each line of the content, and show it with its output."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return one literal block."""
        folders = self.env.temp_data
        folder = folders.setdefault("command_folder", tempfile.mkdtemp(prefix="posterium-docs-"))
        shown = []
        for line in self.content:
            shown += [f"$ {line}", self._output(line, folder)]
        text = "\n".join(part for part in shown if part)
        return [nodes.literal_block(text, text, language="console")]

    def _output(self, line: str, folder: str) -> str:
        beside = Path(sys.executable).parent
        path = f"{beside}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            line, shell=True, cwd=folder, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env=os.environ | {"PATH": path}, check=False,
        )  # fmt: skip
        if done.returncode:
            raise self.error(f"{line}\nended with {done.returncode}:\n{done.stdout}")
        return done.stdout.rstrip()


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("command", Command)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
