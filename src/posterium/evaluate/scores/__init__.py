"""Scores of predictions against what came true, on plain arrays, with their standard errors.

n rows, k outputs, c classes, s draws. Errors are those that the choice of rows gives, for
independent rows.
"""

from posterium.evaluate.scores.bins import calibration_error, classwise_ece, ece, largest_gap
from posterium.evaluate.scores.classes import (
    BrierParts,
    accuracy,
    brier,
    brier_decomposition,
    ranked_probability,
)
from posterium.evaluate.scores.draws import energy_score, sampled_crps
from posterium.evaluate.scores.joint import JointScore, joint_log_prob, joint_scores
from posterium.evaluate.scores.ranking import (
    aupr,
    auroc,
    class_auroc,
    concordance,
    detection,
    fpr_at_tpr,
    misclassification,
    out_of_distribution,
)
from posterium.evaluate.scores.regression import (
    IntervalCurve,
    coverage,
    interval_curve,
    interval_score,
    mae,
    pinball,
    r2,
    rmse,
    sharpness,
    width,
)
from posterium.evaluate.scores.rows import Score, average, nll
from posterium.evaluate.scores.selective import RiskCoverage, aurc, excess_aurc, risk_coverage
from posterium.evaluate.scores.summary import Scores, class_scores, number_scores, score

__all__ = [
    "BrierParts",
    "IntervalCurve",
    "JointScore",
    "RiskCoverage",
    "Score",
    "Scores",
    "accuracy",
    "aupr",
    "aurc",
    "auroc",
    "average",
    "brier",
    "brier_decomposition",
    "calibration_error",
    "class_auroc",
    "class_scores",
    "classwise_ece",
    "concordance",
    "coverage",
    "detection",
    "ece",
    "energy_score",
    "excess_aurc",
    "fpr_at_tpr",
    "interval_curve",
    "interval_score",
    "joint_log_prob",
    "joint_scores",
    "largest_gap",
    "mae",
    "misclassification",
    "nll",
    "number_scores",
    "out_of_distribution",
    "pinball",
    "r2",
    "ranked_probability",
    "risk_coverage",
    "rmse",
    "sampled_crps",
    "score",
    "sharpness",
    "width",
]
