"""The gallery shows every recipe, with pictures that are there and small enough to keep."""

import json
from pathlib import Path

import pytest

from posterium import recipes

DOCS = Path(__file__).parents[2] / "docs"
RECORDS = [json.loads(line) for line in (DOCS / "gallery.jsonl").read_text().splitlines()]
PICTURES = DOCS / "images" / "gallery"


def test_every_recipe_is_in_the_gallery():
    assert [one["id"] for one in RECORDS] == [id for id, _ in recipes.names()]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record["id"])
def test_what_is_shown_passed_or_says_why_it_was_skipped(record):
    assert record["passed"] is True or record["skipped"]
    assert record["pictures"] or record["skipped"]
    assert record["summary"] == dict(recipes.names())[record["id"]]


def test_the_pictures_are_those_of_the_recipes_and_take_less_than_3_megabytes():
    named = [name for record in RECORDS for name in record["pictures"]]
    there = {file.name: file.stat().st_size for file in PICTURES.iterdir()}
    assert len(named) == len(set(named))
    assert set(named) == there.keys()
    assert sum(there.values()) < 3e6


def test_every_system_is_on_the_page():
    page = (DOCS / "gallery.md").read_text()
    for system in {record["id"].split(".")[0] for record in RECORDS}:
        assert f"```{{gallery}} {system}\n" in page
