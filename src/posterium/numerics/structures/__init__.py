"""Structures: how the curvature of a sum over rows is kept; a file for each."""
