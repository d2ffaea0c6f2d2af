"""Recalibration: predictions corrected by rows that were not fitted."""
