"""A synthetic set made ready to be shared, with its papers."""
