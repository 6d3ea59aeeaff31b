"""Networks in another number format."""

import contextlib
from collections.abc import Iterator

import keras


def to_float32(network: keras.Model) -> keras.Model:
    """The network itself if all of it computes in float32, else a copy with its weights that does."""
    if {layer.dtype_policy.name for layer in network._flatten_layers()} == {"float32"}:
        return network
    with float32_policy():
        copy = type(network).from_config({**network.get_config(), "dtype": "float32"})
        copy.build_from_config(network.get_build_config())
        copy.set_weights(network.get_weights())
    return copy


@contextlib.contextmanager
def float32_policy() -> Iterator[None]:
    """Layers made inside compute in float32 unless told otherwise, whatever the training before them used."""
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.mixed_precision.set_dtype_policy(before)
