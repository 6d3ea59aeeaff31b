"""Networks as plain functions of arrays."""

import numpy as np
import tensorflow as tf

from evaluation.segmenter.sliding_window import Predict


def probabilities_of(network) -> Predict:
    """A segmenter that gives logits, as a function from films [N, h, w, 1] to probabilities [N, h, w, K]."""
    compiled = probability_graph(network)

    def predict(films: np.ndarray) -> np.ndarray:
        return compiled(tf.constant(films, tf.float32)).numpy()

    return predict


def probability_graph(network) -> tf.types.experimental.PolymorphicFunction:
    """The same of tensors, float32 [N, h, w, 1]; traced once, and kept as a whole inside other graphs.

    Shapes stay open and the graph is not inlined, so that a picture's probabilities have the same bits however
    and wherever it is called.
    """
    return tf.function(lambda films: tf.nn.softmax(network(films)), experimental_attributes={"_noinline": True},
                       input_signature=[tf.TensorSpec((None, None, None, 1), tf.float32, "films")])
