"""What to try after a fit whose verdict is not ok: its advice, with the options to give."""

import re
from typing import Any

from posterium.cli.messages import in_options
from posterium.cli.settings import names

KNOBS = (
    (r"[Mm]ore steps", "steps", 2.0),
    (r"train on", "at.steps", 2.0),
    (r"[Ll]ower the learning rate", "learning_rate", 0.1),
    (r"higher learning rate", "learning_rate", 3.0),
    (r"[Mm]ore draws|[Rr]un longer", "draws", 2.0),
    (r"[Ww]arm up longer", "warmup", 2.0),
)
"""What advice asks to change, the setting, and the factor to try."""


def advise(text: str, method: Any) -> str:
    """Return advice on a method's fit with the options to give, `--set steps=8000` say."""
    tries = [
        setting
        for pattern, name, factor in KNOBS
        if re.search(pattern, text) and (setting := _scaled(method, name, factor))
    ]
    return in_options(text) + (f" Try {' or '.join(tries)}." if tries else "")


def _scaled(method: Any, name: str, factor: float) -> str | None:
    """Return the option that multiplies a setting; None where the method has no such number."""
    paths = [path for path in names(method) if f".{path}".endswith(f".{name}")]
    for path in sorted(paths, key=lambda path: path.count(".")):
        now = method
        for part in path.split("."):
            now = getattr(now, part)
        if isinstance(now, int | float) and now > 0:
            new = int(now * factor) if isinstance(now, int) else float(f"{now * factor:.2g}")
            return f"--set {path}={new} (now {now})"
    return None
