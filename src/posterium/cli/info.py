"""`posterium info`: what a model file holds."""

import math

from posterium.cli import files, results
from posterium.cli.messages import DONE
from posterium.tables.errors import quote


def run(model: str) -> int:
    """Run the command; return its exit status."""
    saved = files.read(model)
    fit, record = saved.model.fit, saved.record
    pairs = zip(saved.table.feature_names, saved.table.kinds, strict=True)
    features = [f"{quote(name)} ({kind})" for name, kind in pairs]
    evidence = fit.log_evidence
    settings = ", ".join(record["settings"])
    results.show(
        {
            "task": saved.table.task,
            "method": record["method"] + (f" ({settings})" if settings else ""),
            "precision": fit.precision,
            "verdict": str(fit.verdict),
            "rows fitted": f"{record['n_train']:,}",
            "target": quote(saved.table.target_name),
            "classes": ", ".join(quote(str(c), 80) for c in saved.table.classes) or "none",
            "features": ", ".join(features),
            "evidence": "none" if math.isnan(evidence) else f"{evidence:.6g} nats, standardised",
            "draws": saved.model.draws or fit.posterior.default_draws(),
            "seed": saved.model.seed,
            "posterium": record["posterium"],
        }
    )
    for text in record["notes"]:
        print(f"note: {text}")
    return DONE
