"""Covariances of weights as operators: a file for each kind."""
