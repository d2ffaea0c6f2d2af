"""The page: whole in itself, safe against names, and saying what is so."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure as Canvas
from tests.report.cases import page, subject

from posterium.posterior.components.classes import ClassComponents
from posterium.posterior.components.gaussian import GaussianComponents
from posterium.posterior.fit import Verdict
from posterium.posterior.predictive import ClassPredictive, RegressionPredictive
from posterium.report.figures import Figure, Sheet
from posterium.report.page import render

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }} $\\frac{1}{2$ </style></svg>",
    "bell \x07 and \x00 and \ud800 " + "long " * 60,
)


class Reader(HTMLParser):
    """Collects tags, attributes and text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.words = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def attribute(reader, name):
    return [value for key, value in reader.attributes if key == name]


@pytest.fixture
def undrawn(monkeypatch):
    """Leave the figures out: what matters are the words."""

    def figure(self, title, draw, caption="", *, height=3.0):
        return Figure(title, f'<svg aria-label="{title}"></svg>', caption)

    monkeypatch.setattr(Sheet, "figure", figure)


@pytest.fixture(scope="module")
def regression():
    return page(subject())


@pytest.fixture(scope="module")
def classification():
    return page(subject(classes=3))


@pytest.mark.parametrize("kind", ["regression", "classification"])
def test_the_page_loads_nothing_and_runs_nothing(kind, request):
    text = request.getfixturevalue(kind)
    reader = Reader(text)
    outside = {"script", "link", "img", "image", "iframe", "object", "embed", "base", "form"}
    assert not outside & set(reader.tags)
    assert all(value.startswith("#") for value in attribute(reader, "href"))
    assert not attribute(reader, "src")
    assert not [key for key, _ in reader.attributes if key.startswith("on")]
    assert not re.search(r"https?:|@import|@font-face", text)
    assert all(target.startswith("#") for target in re.findall(r"url\((.*?)\)", text))


@pytest.mark.parametrize("kind", ["regression", "classification"])
def test_identifiers_are_unique_and_every_reference_has_its_own(kind, request):
    text = request.getfixturevalue(kind)
    reader = Reader(text)
    identifiers = attribute(reader, "id")
    assert len(identifiers) == len(set(identifiers))
    named = [value[1:] for value in attribute(reader, "href")]
    named += re.findall(r"url\(#(.*?)\)", text)
    assert named
    assert set(named) <= set(identifiers)


def test_every_figure_is_well_formed_and_has_words_for_those_who_do_not_see_it(regression):
    drawings = re.findall(r"<svg.*?</svg>", regression, flags=re.DOTALL)
    assert len(drawings) >= 8
    for drawing in drawings:
        root = ElementTree.fromstring(drawing)
        assert root.get("aria-label")
        assert root.get("viewBox")


@pytest.mark.parametrize("classes", [0, 4])
def test_hostile_names_are_text_and_nothing_else(classes):
    quiet = subject(features=4, classes=classes)
    columns = [
        replace(column, name=name) for column, name in zip(quiet.columns, HOSTILE, strict=True)
    ]
    loud = replace(
        quiet, columns=tuple(columns), targets=HOSTILE[:1], source=HOSTILE[1],
        classes=HOSTILE if classes else (),
    )  # fmt: skip
    calm, wild = Reader(page(quiet)), Reader(page(cleaned(loud)))
    assert set(wild.tags) == set(calm.tags)
    assert {key for key, _ in wild.attributes} == {key for key, _ in calm.attributes}
    assert "<script>alert(1)</script>" in wild.text
    assert "{{ 7 * 7 }}" in wild.text


def cleaned(found):
    """Return a subject with names as `posterium.report` makes them."""
    from posterium.tables.errors import plain

    return replace(
        found, targets=tuple(map(plain, found.targets)), classes=tuple(map(plain, found.classes)),
        columns=tuple(replace(c, name=plain(c.name)) for c in found.columns),
    )  # fmt: skip


def test_notes_and_commands_of_the_record_are_escaped(undrawn):
    text = page(subject(), {"notes": ["<b>bold</b>"], "method": "<i>"}, command="fit '<u>'")
    assert not {"b", "i", "u"} & set(Reader(text).tags)


def test_equal_subjects_give_equal_bytes(regression):
    assert page(subject()) == regression


def test_scores_are_those_of_the_held_out_rows(undrawn):
    found = subject(rows=80)
    y, x = found.y[found.held, 0], found.x[found.held, 0]
    rmse = np.sqrt(np.mean((y - x * 1.0) ** 2))
    text = Reader(page(found)).text
    assert f"A prediction misses by {rmse:.3g} typically" in text
    assert "Scores are on the 40 rows held out" in text


@pytest.mark.parametrize(
    ("held", "said"),
    [(0, "No rows were held out"), (1, "80 rows held out"), (None, "is not recorded")],
)
def test_the_page_says_on_which_rows_the_scores_are(held, said, undrawn):
    assert said in Reader(page(subject(rows=80, held=held))).text


def test_a_verdict_is_explained_with_its_reasons_and_advice(undrawn):
    text = Reader(page(subject(verdict=Verdict("warned", ("It is odd.",), ("Mend it.",))))).text
    assert "warned" in text
    assert "It is odd. Mend it." in text


def test_a_failed_fit_without_finite_predictions_has_a_page_without_scores(undrawn):
    failed = subject(verdict=Verdict("failed", ("Lost.",), ("Look.",)))

    def nothing(x):
        raise ValueError("Expected finite means")

    text = Reader(page(replace(failed, predict=lambda x: Broken()))).text
    assert "there is nothing to score" in text
    assert "Least certain rows" not in text
    assert "Lost. Look." in text


class Broken:
    """A predictive without finite numbers."""

    @property
    def mean(self):
        raise ValueError("Expected finite means")


def test_predictions_that_are_not_finite_are_no_page_of_a_fit_that_did_not_fail():
    with pytest.raises(ValueError, match="finite"):
        page(replace(subject(), predict=lambda x: Broken()))


def test_time_is_told_only_by_the_run_that_fitted(undrawn):
    assert "Time to fit 2.5 s" in Reader(page(subject(), seconds=2.49)).text
    assert "Time to fit" not in page(subject())


def test_the_command_stands_on_the_page_as_given(undrawn):
    assert "posterium fit a.csv --seed 3" in page(subject(), command="posterium fit a.csv --seed 3")


def test_both_terms_of_the_training_are_drawn(regression):
    labels = attribute(Reader(regression), "aria-label")
    assert {"Log likelihood", "Log prior"} <= set(labels)


def test_several_targets_are_scored_one_by_one_and_the_first_ones_drawn(undrawn):
    text = page(subject(targets=6))
    labels = attribute(Reader(text), "aria-label")
    drawn = [label for label in labels if label.startswith("Predicted against observed")]
    assert drawn == [f"Predicted against observed: y{i}" for i in range(4)]
    assert text.count(">RMSE<") == 6
    assert "2 more have scores only" in text


def test_five_rows_make_a_page_that_says_they_are_few(undrawn):
    assert "Only 5 rows scored" in Reader(page(subject(rows=5, held=0))).text


def test_one_row_and_a_constant_column_make_a_page():
    found = subject(rows=1, features=1, held=0)
    text = Reader(page(found)).text
    assert "not defined" in text
    assert "Effects of the columns" not in text


def test_of_300_columns_the_eight_most_influential_are_drawn(undrawn):
    text = page(subject(rows=40, features=300))
    reader = Reader(text)
    at = text.index('id="effects"')
    titles = re.findall(r"<h3>(.*?)</h3>", text[at:])
    assert len(titles) == 8
    assert titles[0] == "column 0"
    assert "260 more columns are not listed" in reader.text


def test_thirty_classes_are_folded_into_a_matrix_of_ten():
    text = Reader(page(subject(rows=200, classes=30))).text
    assert "others" in text
    assert "The 9 most frequent of 30 classes" in text


def test_two_classes_have_a_reliability_of_their_own(undrawn):
    labels = attribute(Reader(page(subject(classes=2))), "aria-label")
    assert "Reliability of P(class 1)" in labels


def test_a_missing_jinja2_is_named_with_the_extra_to_install(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ImportError, match=r"posterium\[report\]"):
        render({})


def test_more_rows_than_are_drawn_are_said_to_be_drawn_in_part(undrawn):
    assert "600 of 700 rows" in Reader(page(subject(rows=700, held=0))).text


def test_every_kind_of_page_is_drawn_without_a_warning():
    for found in (subject(rows=5, held=0), subject(targets=2), subject(rows=150, classes=12)):
        assert page(found).count("<figure>") >= 5


@pytest.mark.parametrize("scale", [1e-100, 1e140])
def test_targets_of_any_size_make_a_page_without_a_warning(scale, undrawn):
    found = subject(rows=20)

    def predict(x):
        components = GaussianComponents(scale * x[None, :, :1], (scale / 2) ** 2)
        return RegressionPredictive(lambda: [components], (len(x), 1), squeeze=True)

    large = replace(found, predict=predict, y=scale * found.y, target_scale=np.array([scale]))
    assert "Least certain rows" in page(large)


def test_a_class_that_was_given_no_probability_has_an_infinite_score(undrawn):
    def predict(x):
        components = ClassComponents.from_probs(np.tile([1.0, 0.0, 0.0], (2, len(x), 1)))
        return ClassPredictive(lambda: [components], (len(x), 3))

    assert "infinite" in page(replace(subject(classes=3), predict=predict))


def one_wide(rows=40, wide=100.0):
    """A subject with the same interval in each row but one."""
    found = subject(rows=rows, held=0)

    def predict(x):
        sd = np.where(x[:, :1] == found.x[3, 0], wide, 0.5)
        component = GaussianComponents(np.stack([x[:, :1], x[:, :1] + 0.1 * sd]), sd**2)
        return RegressionPredictive(lambda: [component], (len(x), 1), squeeze=True)

    return replace(found, predict=predict)


def test_one_very_wide_interval_sets_neither_the_axes_nor_the_share_that_is_epistemic(monkeypatch):
    limits = []

    def figure(self, title, draw, caption="", *, height=3.0):
        if title == "Predicted against observed":
            axes = Canvas().subplots()
            draw(axes)
            limits.append(axes.get_ylim())
        return Figure(title, "<svg></svg>", caption)

    monkeypatch.setattr(Sheet, "figure", figure)
    text = Reader(page(one_wide())).text
    assert limits[0][1] - limits[0][0] < 15
    assert "1 very wide bar may be cut off" in text
    assert "very wide" not in Reader(page(one_wide(wide=0.6))).text


def test_a_perfect_accuracy_of_few_rows_is_not_called_underconfident(undrawn):
    def predict(x):
        probs = np.tile([0.99, 0.01], (1, len(x), 1))
        return ClassPredictive(lambda: [ClassComponents.from_probs(probs)], (len(x), 2))

    found = replace(subject(rows=5, classes=2, held=0), y=np.zeros(5, int), predict=predict)
    assert "99%, about as often as it is right" in Reader(page(found)).text


def test_a_rare_class_is_not_said_to_have_no_rows(undrawn):
    y = (np.arange(300) == 0).astype(int)
    found = replace(subject(rows=300, classes=2, held=0), y=y)
    assert "class 0 100%, class 1 under 1%" in Reader(page(found)).text
