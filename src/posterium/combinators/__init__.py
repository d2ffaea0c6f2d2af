"""A method in, a method out."""
