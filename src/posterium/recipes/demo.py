"""The demonstration: fit the bundled concrete table by the command, and draw what came out.

Run as ``python -m posterium.recipes.demo FOLDER``.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from posterium.datasets.tables import path
from posterium.plots.regression import predicted_observed
from posterium.plots.style import figure

COMMAND = "import sys; from posterium.cli import main; sys.exit(main())"
TARGET, UNIT = "strength_mpa", "MPa"
LEVEL = 0.9


def main(folder: str) -> int:
    """Fit, score and draw into a folder; return the exit status."""
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    data = out / "concrete.csv.gz"
    shutil.copyfile(path("concrete"), data)
    arguments = [
        "fit", str(data), "--target", TARGET, "--out", str(out / "model.posterium"),
        "--predictions", str(out / "predictions.csv"), "--json", str(out / "scores.json"),
        "--report", str(out / "report.html"), "--overwrite",
    ]  # fmt: skip
    print(f"$ posterium {' '.join(arguments)}\n", flush=True)
    status = subprocess.run([sys.executable, "-c", COMMAND, *arguments], check=False).returncode
    if status:
        return status
    draw(out / "predictions.csv", out / "intervals.png")
    print(f"\nPicture of predictions against observations: {out / 'intervals.png'}")
    print(f"Report, to open in a browser: {out / 'report.html'}")
    print(f"Everything is in {out.resolve()}")
    return 0


def draw(predictions: Path, picture: Path) -> None:
    """Draw predicted against observed, with intervals, from a file of predictions."""
    table = np.genfromtxt(predictions, delimiter=",", names=True)
    held_out = SimpleNamespace(
        mean=table["mean"], interval=lambda level: (table["lower"], table["upper"])
    )
    sheet = figure(6.2, 6)
    predicted_observed(
        held_out, table["observed"], level=LEVEL, unit=UNIT, ax=sheet.subplots(),
        title="Strength of concrete, rows that were not fitted",
    )  # fmt: skip
    sheet.savefig(picture, dpi=150)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Expected one folder to write to: python -m posterium.recipes.demo FOLDER")
    sys.exit(main(sys.argv[1]))
