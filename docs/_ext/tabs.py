"""Tabs of frameworks: cells that follow one another and are tagged ``tab-NAME`` share their place.

Cells within directives are not executed, so the tabs are made of cells that were. A container of
class ``tab-NAME`` goes along with them: for code that is not executed.
"""

import itertools

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx_design.shared import create_component

LABELS = {
    "posterium": "posterium",
    "linen": "Flax Linen",
    "nnx": "Flax NNX",
    "equinox": "Equinox",
    "functions": "Functions",
    "torch": "PyTorch",
}


def framework(node: nodes.Node) -> str | None:
    """Return the framework that a cell or container is tagged with."""
    classes = node["classes"] if isinstance(node, nodes.container) else []
    names = [name.removeprefix("tag_").removeprefix("tab-") for name in classes if "tab-" in name]
    return names[0] if names else None


def tab(name: str, content: nodes.Node) -> nodes.Node:
    """Return a tab; choosing a framework chooses it on the whole page."""
    label = nodes.rubric("", LABELS[name], classes=["sd-tab-label"])
    label["sync_group"], label["sync_id"] = "framework", name
    panel = create_component("tab-content", classes=["sd-tab-content"], children=[content])
    return create_component("tab-item", classes=["sd-tab-item"], children=[label, panel])


class Tabs(SphinxTransform):
    """Put cells of several frameworks, one after another, into one set of tabs."""

    default_priority = 900

    def apply(self) -> None:
        """Change the document in place."""
        for parent in [self.document, *self.document.findall(nodes.section)]:
            children = []
            for tagged, group in itertools.groupby(parent.children, lambda n: bool(framework(n))):
                if tagged:
                    tabs = [tab(framework(node), node) for node in group]
                    children.append(
                        create_component("tab-set", classes=["sd-tab-set"], children=tabs)
                    )
                else:
                    children += group
            parent.children = []
            parent.extend(children)


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the transform."""
    app.add_transform(Tabs)
    return {"parallel_read_safe": True}
