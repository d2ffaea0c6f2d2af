"""Likelihoods: how a target is distributed around a network's outputs, a file for each kind."""
