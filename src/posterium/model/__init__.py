"""What we believe: network, prior, likelihood and data."""
