"""Adapters: networks of other frameworks, unchanged; one file a framework."""
