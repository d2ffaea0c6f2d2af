"""Figures; every function takes `ax=None` and returns what it drew on."""
