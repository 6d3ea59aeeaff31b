"""Networks in another number format than float32, and the way back."""

import contextlib
from collections.abc import Iterator, Sequence

import keras
import tensorflow as tf


@contextlib.contextmanager
def dtype_policy(name: str) -> Iterator[None]:
    """Layers made inside have Keras' policy `name` unless told otherwise; outside, the policy stays as it was."""
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.mixed_precision.set_dtype_policy(before)


def to_float32(network: keras.Model) -> keras.Model:
    """The network itself if all of it computes in float32, else a copy with its weights that does."""
    # Nested layers too, which Keras lists nowhere in public.
    if {layer.dtype_policy.name for layer in network._flatten_layers()} == {"float32"}:
        return network
    with dtype_policy("float32"):
        copy = type(network).from_config({**network.get_config(), "dtype": "float32"})
        copy.build_from_config(network.get_build_config())
        copy.set_weights(network.get_weights())
    return copy


def gradient_norm(optimizer: keras.optimizers.Optimizer, gradients: Sequence[tf.Tensor | None]) -> tf.Tensor:
    """Norm over all gradients, float32; infinite or not a number as soon as one of them is.

    Call it before the optimizer applies them, which may change its loss scale. Of replicas each has the norm of
    its own share. With loss scaling, gradients that are not finite are expected now and then (the optimizer
    leaves the step out and halves the scale) and count as 0.
    """
    # In float32: float16 squares would overflow.
    norm = tf.linalg.global_norm([tf.cast(gradient, tf.float32) for gradient in gradients if gradient is not None])
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        norm = norm / optimizer.dynamic_scale  # they are of the scaled loss
        return tf.where(tf.math.is_finite(norm), norm, 0.0)
    return norm
