"""Families of distributions over weights, in coordinates that an optimiser may move freely."""
