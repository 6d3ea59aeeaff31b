"""What every room stands on: user errors, files written whole, progress lines, TensorFlow's start."""
