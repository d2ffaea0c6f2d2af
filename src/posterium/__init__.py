"""Bayesian neural networks: data in, predictions with uncertainty out.

Public names are imported when first used, so that `import posterium` is quick.
"""

import importlib
from importlib.metadata import version as _version
from typing import Any

_HOME = {
    "struct": "_struct",
    "static": "_struct",
    "fit": "driver.fit",
    "use_cpu_devices": "driver.devices",
    "enable_compilation_cache": "driver.cache",
    "predict": "posterior.predict",
    "prior_predictive": "posterior.before",
    "score": "evaluate.scores",
    "diagnose": "evaluate.diagnose",
    "Diagnosis": "evaluate.diagnose",
    "loo": "evaluate.loo",
    "waic": "evaluate.loo",
    "compare": "evaluate.loo",
    "Elpd": "evaluate.loo",
    "to_arviz": "evaluate.arviz",
    "recalibrate": "evaluate.recalibration.recalibrate",
    "TemperatureScaling": "evaluate.recalibration.temperature",
    "VarianceScaling": "evaluate.recalibration.variance",
    "IsotonicRecalibration": "evaluate.recalibration.isotonic",
    "SplitConformal": "evaluate.recalibration.split",
    "RAPS": "evaluate.recalibration.sets",
    "ConformalisedQuantiles": "evaluate.recalibration.intervals",
    "CalibrationWarning": "evaluate.recalibration.ranks",
    "ApproximationWarning": "posterior.predict",
    "save": "posterior.store",
    "load": "tables.load",
    "Fit": "posterior.fit",
    "Verdict": "posterior.fit",
    "Model": "model.model",
    "Data": "model.data",
    "Stream": "model.data",
    "as_data": "model.data",
    "Weights": "model.weights",
    "learn": "model.hyper",
    "MLP": "model.network",
    "Functions": "model.network",
    "from_linen": "model.adapters.linen",
    "from_nnx": "model.adapters.nnx",
    "from_equinox": "model.adapters.equinox",
    "from_torch": "model.adapters.torch",
    "describe": "model.describe",
    "describe_walk": "model.walk",
    "Grouped": "model.grouped",
    "Linear": "model.features",
    "Affine": "model.features",
    "Polynomial": "model.features",
    "Fourier": "model.features",
    "Flat": "model.priors.normal",
    "Normal": "model.priors.normal",
    "precision_from_weight_decay": "model.priors.normal",
    "LaplacePrior": "model.priors.tails",
    "StudentTPrior": "model.priors.tails",
    "SpikeAndSlab": "model.priors.sparse",
    "Horseshoe": "model.priors.sparse",
    "GaussianPrior": "model.priors.gaussian",
    "Centred": "model.priors.composed",
    "ByPath": "model.priors.composed",
    "EachWeight": "model.priors.recognise",
    "Independent": "model.priors.base",
    "Gamma": "model.priors.scales",
    "InverseGamma": "model.priors.scales",
    "LogNormal": "model.priors.scales",
    "HalfNormal": "model.priors.scales",
    "HalfCauchy": "model.priors.scales",
    "Gaussian": "model.likelihoods.gaussian",
    "HeteroscedasticGaussian": "model.likelihoods.gaussian",
    "Bernoulli": "model.likelihoods.classes",
    "Categorical": "model.likelihoods.classes",
    "Ordinal": "model.likelihoods.ordinal",
    "StudentT": "model.likelihoods.student_t",
    "HeteroscedasticStudentT": "model.likelihoods.student_t",
    "LaplaceNoise": "model.likelihoods.quantiles",
    "HeteroscedasticLaplace": "model.likelihoods.quantiles",
    "Quantile": "model.likelihoods.quantiles",
    "MixtureOfGaussians": "model.likelihoods.mixture",
    "Poisson": "model.likelihoods.counts",
    "NegativeBinomial": "model.likelihoods.counts",
    "Weibull": "model.likelihoods.survival",
    "Exact": "methods.exact",
    "MAP": "methods.map",
    "MLE": "methods.map",
    "Laplace": "methods.laplace",
    "KroneckerCurvature": "numerics.structures.kronecker",
    "LowRankCurvature": "numerics.structures.low_rank",
    "FunctionalCurvature": "numerics.structures.functional",
    "SWAG": "methods.swag",
    "SWA": "methods.swag",
    "Snapshot": "methods.snapshot",
    "NUTS": "methods.nuts",
    "HMC": "methods.hmc",
    "ChEES": "methods.chees",
    "MCLMC": "methods.mclmc",
    "AdjustedMCLMC": "methods.adjusted_mclmc",
    "ParallelTempering": "methods.parallel_tempering",
    "MCDropout": "methods.mc_dropout",
    "VI": "methods.vi",
    "IVON": "methods.ivon",
    "PBP": "methods.pbp",
    "KLSchedule": "phases.ascent",
    "Renyi": "phases.objectives",
    "BlackBoxAlpha": "phases.objectives",
    "MeanField": "numerics.families.gaussian",
    "FullRank": "numerics.families.gaussian",
    "LowRank": "numerics.families.low_rank",
    "MatrixNormal": "numerics.families.matrix_normal",
    "Radial": "numerics.families.radial",
    "Flow": "numerics.families.flow",
    "BayesianRegressor": "estimators",
    "BayesianClassifier": "estimators",
    "Ensemble": "combinators.ensemble",
    "Bootstrap": "combinators.bootstrap",
    "RandomisedPrior": "combinators.randomised_prior",
    "Evidence": "combinators.evidence",
    "OnlineEvidence": "combinators.online",
    "StartFrom": "combinators.start",
    "Subset": "combinators.subset",
    "LargestVariance": "combinators.subset",
    "Tempered": "combinators.tempered",
    "cold_posterior_curve": "combinators.tempered",
}

__all__ = [*_HOME, "__version__"]


def __getattr__(name: str) -> Any:
    """Import a public name from its home."""
    if name == "__version__":
        return _version("posterium")
    if name == "report":
        return importlib.import_module("posterium.report")
    if name not in _HOME:
        raise AttributeError(f"module 'posterium' has no attribute {name!r}")
    return getattr(importlib.import_module(f"posterium.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
