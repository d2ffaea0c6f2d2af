"""Data to try things on: the reference systems' data and two small bundled tables."""
