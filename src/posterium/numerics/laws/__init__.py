"""Laws of one target and their mixtures: density, distribution, quantiles, CRPS, samples."""
