"""Networks as plain functions of arrays."""

import numpy as np
import tensorflow as tf

from evaluation.sliding_window import Predict


def probabilities_of(network) -> Predict:
    """A segmenter that gives logits, as a function from films [N, h, w, 1] to probabilities [N, h, w, K]."""
    compiled = tf.function(lambda films: tf.nn.softmax(network(films)), reduce_retracing=True)

    def predict(films: np.ndarray) -> np.ndarray:
        return compiled(tf.constant(films, tf.float32)).numpy()

    return predict
