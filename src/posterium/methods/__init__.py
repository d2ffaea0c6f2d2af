"""How we reason: one file is one method."""
