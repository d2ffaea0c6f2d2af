"""Priors: what is believed of the weights, and of positive scales, before any data."""
