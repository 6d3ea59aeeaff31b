"""What the process that others are forked from imports: everything that takes seconds, and nothing is computed."""

from datasets.common.tensorflow_startup import quiet_tensorflow

quiet_tensorflow()

from training import pggan, pix2pixhd, smanet  # noqa: E402, F401
