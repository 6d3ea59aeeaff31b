"""SavedModels that need TensorFlow alone."""
