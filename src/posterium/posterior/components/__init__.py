"""Components: what a likelihood predicts for a block of rows, one distribution a draw."""
