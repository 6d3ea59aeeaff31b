"""Weights of the released PGGAN and Pix2PixHD, read and checked."""
