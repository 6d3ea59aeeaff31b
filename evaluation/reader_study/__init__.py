"""A blinded reader study in one HTML file."""
