"""Markov chain Monte Carlo: kernels and their adaptation; all of BlackJAX comes through here."""
