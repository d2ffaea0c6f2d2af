"""The protocols of inference and the only loop that runs them."""
