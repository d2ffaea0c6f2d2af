"""Phases that several methods share: descent, polish, chains."""
