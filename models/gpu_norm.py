"""Batch normalisation in training, for GPUs: what TensorFlow's operation does in many passes, XLA does in a few.

On an H100 a step of SMANet with 17 crops took 0.108 s by two such functions (0.093 s on an H200) and 0.123 s by
TensorFlow's operation, which by its source transposes what it reads and writes for cuDNN (docs/performance.md).
"""

import tensorflow as tf


@tf.custom_gradient
def normalize(inputs: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, epsilon: float) -> tuple[tuple, object]:
    """[N, H, W, C] in any floating-point format, gamma and beta float32 [C] -> the normalised maps in that format,
    and the batch's means and variances float32 [C], which have no gradient."""
    outputs, mean, variance, deviation = _forward(inputs, gamma, beta, epsilon)

    def gradient(upstream, *_):
        return (*_backward(inputs, upstream, gamma, mean, deviation), None)

    return (outputs, mean, variance), gradient


@tf.function(jit_compile=True, autograph=False)
def _forward(inputs, gamma, beta, epsilon):
    full = tf.cast(inputs, tf.float32)
    mean = tf.reduce_mean(full, (0, 1, 2))
    variance = tf.reduce_mean(tf.square(full - mean), (0, 1, 2))
    deviation = tf.sqrt(variance + epsilon)
    return tf.cast((full - mean) * (gamma / deviation) + beta, inputs.dtype), mean, variance, deviation


@tf.function(jit_compile=True, autograph=False)
def _backward(inputs, upstream, gamma, mean, deviation):
    """Gradients of the inputs, gamma and beta."""
    given = tf.cast(upstream, tf.float32)
    standard = (tf.cast(inputs, tf.float32) - mean) / deviation  # [N, H, W, C], normalised
    d_beta, d_gamma = tf.reduce_sum(given, (0, 1, 2)), tf.reduce_sum(given * standard, (0, 1, 2))
    count = tf.cast(tf.size(inputs) // inputs.shape[-1], tf.float32)
    d_inputs = (given - (d_beta + standard * d_gamma) / count) * (gamma / deviation)
    return tf.cast(d_inputs, inputs.dtype), d_gamma, d_beta
