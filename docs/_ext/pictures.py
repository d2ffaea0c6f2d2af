"""Make the pictures of the gallery: ``python docs/_ext/pictures.py [--fast] [--jobs N] [ID ...]``.

Recipes are run, all or those named, and a line about each goes to ``gallery.jsonl``: what came out,
and the names of its pictures in ``images/gallery``. Lines and pictures of the others stay.
"""

import argparse
import io
import json
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from PIL import Image

from posterium import recipes

COLOURS = 128
"""Of a picture: more than a figure has, but for the edges of letters."""
DOCS = Path(__file__).parents[1]
RECORD, PICTURES = DOCS / "gallery.jsonl", DOCS / "images" / "gallery"


def main() -> None:
    """Read the arguments, run, and write."""
    parser = argparse.ArgumentParser(description="Make the pictures of the gallery.")
    parser.add_argument("names", nargs="*", metavar="ID", help="R1.blr, or R1 for all of R1")
    parser.add_argument("--fast", action="store_true", help="fewer steps or draws")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    asked = parser.parse_args()
    PICTURES.mkdir(parents=True, exist_ok=True)
    ids = [id for name in asked.names for id in recipes.under(name)] or None
    with tempfile.TemporaryDirectory() as folder:
        for result in recipes.run_all(
            ids, jobs=asked.jobs, out=folder, fast=asked.fast, apart=True
        ):
            print(result["id"], result["passed"], result["seconds"], flush=True)
            keep(result, Path(folder), fast=asked.fast)


def keep(result: dict[str, Any], folder: Path, *, fast: bool) -> None:
    """Take a recipe's pictures out of a folder, and its line into the record."""
    lines = {line["id"]: line for line in map(json.loads, read())}
    for name in lines.get(result["id"], {}).get("pictures", []):
        (PICTURES / name).unlink(missing_ok=True)
    pictures = [shrunk(folder / name) for name in result.get("pictures", [])]
    summary = dict(recipes.names())[result["id"]]
    about = {"summary": summary, "fast": fast, "version": version("posterium")}
    lines[result["id"]] = result | about | {"pictures": pictures}
    text = "".join(json.dumps(lines[id], allow_nan=False) + "\n" for id in sorted(lines))
    RECORD.write_text(text)


def read() -> list[str]:
    """Return the lines of the record."""
    return RECORD.read_text().splitlines() if RECORD.exists() else []


def shrunk(picture: Path) -> str:
    """Write a picture without loss in a smaller format; return its name."""
    bytes_ = io.BytesIO()
    with Image.open(picture) as image:
        image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).convert("RGB").save(
            bytes_, "WEBP", lossless=True, method=6
        )
    name = f"{picture.stem}.webp"
    (PICTURES / name).write_bytes(bytes_.getvalue())
    return name


if __name__ == "__main__":
    main()
