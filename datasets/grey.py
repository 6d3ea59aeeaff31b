"""Levels 0 ... 255 of grey and colour films <-> the networks' range [-1, 1], of NumPy arrays and of TensorFlow
tensors alike. Films have no channel axis where they are grey, networks always have one.

Both directions are written once: who divides elsewhere, or multiplies by 1 / 127.5, gets other bits.
"""

import numpy as np


def from_levels(levels):
    """Levels 0 ... 255 of any number type and shape -> float32 in [-1, 1]; 0 is -1, 255 is 1."""
    if isinstance(levels, np.ndarray):
        levels = levels.astype(np.float32)
    else:
        import tensorflow as tf  # here alone: the dataset tools do without it
        levels = tf.cast(levels, tf.float32)
    return levels / 127.5 - 1.0


def to_levels(values):
    """float32 in [-1, 1], any shape -> the nearest grey level, uint8; what lies beyond is black or white."""
    levels = (values + 1.0) * 127.5
    if isinstance(levels, np.ndarray):
        return np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    import tensorflow as tf
    return tf.cast(tf.clip_by_value(tf.round(levels), 0.0, 255.0), tf.uint8)


def to_network(films):
    """Films' levels [N, H, W] or [N, H, W, 3] -> float32 [N, H, W, 1 or 3] in [-1, 1]."""
    return from_levels(films[..., None] if len(films.shape) == 3 else films)


def from_network(pictures):
    """Pictures float32 [N, H, W, 1 or 3] in [-1, 1] -> films uint8 [N, H, W] or [N, H, W, 3]."""
    return to_levels(pictures[..., 0] if pictures.shape[-1] == 1 else pictures)


def film_channels(films) -> int:
    """1 or 3, of films [N, H, W] or [N, H, W, 3]."""
    return 1 if len(films.shape) == 3 else films.shape[3]
