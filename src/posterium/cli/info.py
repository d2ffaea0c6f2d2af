"""`posterium info`: what a model file holds."""

import math
from typing import Any

from posterium.cli import files, results
from posterium.cli.messages import DONE, in_options
from posterium.tables.encoders import CategoricalColumn, Encoder, NumberColumn
from posterium.tables.errors import listing, plain, quote

LEVELS = 20
"""How many categories of a column are listed."""


def run(model: str) -> int:
    """Run the command; return its exit status."""
    saved = files.read(model)
    fit, record, features = saved.model.fit, saved.record, saved.table.features
    evidence = fit.log_evidence
    results.show(
        {
            "task": saved.table.task,
            "method": _method(record, fit.method),
            "precision": fit.precision,
            "verdict": in_options(str(fit.verdict)),
            "rows fitted": f"{record['n_train']:,}" if "n_train" in record else None,
            "target": quote(saved.table.target_name),
            "classes": ", ".join(quote(str(c), 80) for c in saved.table.classes) or "none",
            "evidence": "none" if math.isnan(evidence) else f"{evidence:.6g} nats, standardised",
            "draws": saved.model.draws or fit.posterior.default_draws(),
            "seed": saved.model.seed,
            "posterium": record.get("posterium"),
            "reading": _options(record.get("reading", {})),
            "missing": features.missing,
            "unseen": features.unseen,
            "features": f"{len(features.sources)} columns, {len(features.names)} inputs",
        }
    )
    for column in features.columns:
        print(f"  {quote(column.name)}: {plain(_described(column))}")
    for text in record.get("notes", ()):
        print(f"note: {plain(text)}")
    return DONE


def _method(record: dict[str, Any], name: str) -> str:
    """Return the method with the settings that were given."""
    fixed = {"prior precision": record.get("prior_precision"), "noise sd": record.get("noise_sd")}
    said = [f"{what} {value:g}" for what, value in fixed.items() if value is not None]
    if prior := record.get("prior"):
        said = [f"prior {prior}", *said]
    settings = ", ".join([*record.get("settings", ()), *said])
    return record.get("method", name) + (f" ({settings})" if settings else "")


def _options(reading: dict[str, Any]) -> str | None:
    """Return how the table was read, where this was said; None where it was not."""
    return ", ".join(f"{name} {quote(str(value))}" for name, value in reading.items()) or None


def _described(column: Encoder) -> str:
    """Return what a column holds, in words."""
    gaps = ", gaps filled and marked" if column.gaps else ""
    if isinstance(column, NumberColumn):
        return f"number, {column.low:g} to {column.high:g}{gaps}"
    if isinstance(column, CategoricalColumn):
        rare = f"; together as other: {listing(map(quote, column.rare))}" if column.rare else ""
        return f"categorical: {listing(map(quote, column.levels), LEVELS)}{rare}{gaps}"
    return f"{column.kind}{gaps}"
