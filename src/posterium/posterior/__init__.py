"""What a fit holds: posteriors, predictions and files."""
