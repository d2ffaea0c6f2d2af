"""Scores, calibration and convergence."""
