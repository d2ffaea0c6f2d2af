"""Loggers: where what a fit records goes while it runs."""
