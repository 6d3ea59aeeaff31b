"""Pure numbers of arrays: overlap, surfaces, likeness of image sets, anatomy."""
