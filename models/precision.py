"""Networks in another number format."""

import keras


def to_float32(network: keras.Model) -> keras.Model:
    """The network itself if all of it computes in float32, else a copy with its weights that does."""
    if {layer.dtype_policy.name for layer in network._flatten_layers()} == {"float32"}:
        return network
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("float32")
    try:
        copy = type(network).from_config({**network.get_config(), "dtype": "float32"})
        copy.build_from_config(network.get_build_config())
        copy.set_weights(network.get_weights())
    finally:
        keras.mixed_precision.set_dtype_policy(before)
    return copy
