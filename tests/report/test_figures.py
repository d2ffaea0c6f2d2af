"""Drawings in the page: their colours, identifiers and text."""

from xml.etree import ElementTree

import pytest

from posterium.plots import style
from posterium.report.figures import Sheet, inline

TEXT = 'id="a" #0072b2; <b> & url(#c)'


@pytest.fixture(scope="module")
def drawn():
    sheet = Sheet()

    def draw(ax):
        ax.plot([0, 1], [0, 1], color=style.MEAN, marker="o")
        ax.fill_between([0, 1], [0, 1], color=style.PAPER)
        ax.set_title(TEXT)

    return sheet.figure("first", draw), sheet.figure("second", draw)


def test_colours_of_the_style_are_variables_of_the_page(drawn):
    root = ElementTree.fromstring(drawn[0].svg)
    styles = " ".join(node.get("style", "") for node in root.iter())
    assert "var(--blue)" in styles
    assert "var(--card)" in styles
    assert style.MEAN.lower() not in styles.lower()


def test_text_stays_as_it_was_written(drawn):
    root = ElementTree.fromstring(drawn[0].svg)
    assert TEXT in [node.text for node in root.iter("text")]


def test_two_drawings_share_no_identifier(drawn):
    first, second = (
        {node.get("id") for node in ElementTree.fromstring(one.svg).iter()} - {None}
        for one in drawn
    )
    assert first
    assert not first & second


def test_the_drawing_has_no_width_of_its_own(drawn):
    root = ElementTree.fromstring(drawn[0].svg)
    assert root.get("width") is None
    assert root.get("viewBox")


def test_what_matplotlib_says_of_itself_is_left_out():
    svg = (
        '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1">'
        "<metadata>when</metadata><defs><style>*{stroke: red}</style></defs><!-- x -->"
        '<g id="a"/><use xmlns:xlink="http://www.w3.org/1999/xlink" xlink:href="#a"/></svg>'
    )
    found = inline(svg, "f1", 'a "title" <b>')
    assert found == (
        '<svg viewBox="0 0 1 1" role="img" aria-label="a &quot;title&quot; &lt;b&gt;"><defs />'
        '<g id="f1-a" /><use href="#f1-a" /></svg>'
    )
