"""Trees, operators and curvature; knows nothing of posteriors."""
