"""The directive ``{gallery} R1``: the recipes of a system, from the record that `pictures` writes.

Each is a section: what it does, its pictures, the command that makes them, and folded away the
demands it meets and the figures it found.
"""

import html
import json
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

RECORD = Path(__file__).parents[1] / "gallery.jsonl"
LONGEST = 6
"""So many numbers of a list are shown."""


class Gallery(SphinxDirective):
    """Show the recipes of a system in the order of their ids."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return a section a recipe."""
        self.env.note_dependency(str(RECORD))
        records = map(json.loads, RECORD.read_text().splitlines())
        return [card(one) for one in records if one["id"].startswith(f"{self.arguments[0]}.")]


def card(record: dict[str, Any]) -> nodes.section:
    """Return what is shown of one recipe."""
    id, name = record["id"], record["id"].lower().replace(".", "-")
    summary, less = re.fullmatch(r"(.*) \(fast: (.*)\)", record["summary"]).groups()
    short = record["fast"] and less != "nothing"
    note = f" Here in short: {less}." if short else ""
    made = nodes.section(ids=[name], names=[name], classes=["recipe"])
    made += nodes.title("", id)
    made += nodes.paragraph("", f"{summary[0].upper()}{summary[1:]}.{note}")
    pictures = nodes.container(classes=["pictures"])
    pictures += [picture(file, f"{id}: {summary}") for file in record["pictures"]]
    made += pictures
    command = f"posterium recipe run {id} --out plots{' --fast' if short else ''}"
    made += nodes.literal_block(command, command, language="sh")
    made += nodes.raw("", judged(record), format="html")
    return made


def picture(file: str, text: str) -> nodes.reference:
    """Return a picture that leads to itself at full size."""
    uri = f"images/gallery/{file}"
    shown = nodes.reference("", "", refuri=f"_images/{file}")
    shown += nodes.image(uri=uri, alt=text, loading="lazy")
    return shown


def judged(record: dict[str, Any]) -> str:
    """Return demands and figures as HTML, folded."""
    if "skipped" in record:
        return f"<p>Skipped: {html.escape(record['skipped'])}</p>"
    marks = {True: "met", False: "missed", None: "left to the full length"}
    gates = "".join(
        f"<li>{html.escape(plain(name))}: {marks[met]}</li>"
        for name, met in record["gates"].items()
    )
    rows = "".join(
        f"<tr><td>{html.escape(plain(name))}</td><td>{html.escape(shown(value))}</td></tr>"
        for name, value in record["figures"].items()
    )
    counts = {met: [*record["gates"].values()].count(met) for met in marks}
    told = ", ".join(f"{count} {marks[met]}" for met, count in counts.items() if count)
    head = f"Demands: {told}, in {record['seconds']:.0f} s"
    return (
        f"<details><summary>{head}</summary><ul>{gates}</ul>"
        f'<table class="table"><tbody>{rows}</tbody></table></details>'
    )


def plain(name: str) -> str:
    """Return a name as words."""
    return name.replace("_", " ")


def shown(value: Any) -> str:
    """Return a figure as text: numbers to four digits, long lists cut."""
    if isinstance(value, list):
        more = ", ..." if len(value) > LONGEST else ""
        return f"[{', '.join(map(shown, value[:LONGEST]))}{more}]"
    if isinstance(value, dict):
        return ", ".join(f"{plain(name)} {shown(one)}" for name, one in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("gallery", Gallery)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
