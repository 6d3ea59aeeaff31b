"""Which devices' kernels a graph holds: a layer that has two ways of computing asks here while it is traced."""

import contextlib
import contextvars
from collections.abc import Iterator

import tensorflow as tf

TARGETS = ("cpu", "gpu", "any")
_traced_for: contextvars.ContextVar[str | None] = contextvars.ContextVar("traced_for", default=None)


def cpu_kernels() -> bool:
    """Whether what is computed or traced now is for CPUs: those of this process, unless `kernels_of` says else."""
    target = _traced_for.get()
    return target == "cpu" if target else not tf.config.list_logical_devices("GPU")


@contextlib.contextmanager
def kernels_of(target: str) -> Iterator[None]:
    """Inside, layers are traced with the kernels of "cpu" or "gpu", whatever this process has."""
    token = _traced_for.set(target)
    try:
        yield
    finally:
        _traced_for.reset(token)


def for_device(function: tf.types.experimental.PolymorphicFunction,
               target: str) -> tf.types.experimental.PolymorphicFunction:
    """`function`, a tf.function with an input signature, traced anew for a device, to be exported.

    With "any" it holds both ways, and the device that runs it decides between them: on a CPU the bits are those of
    "cpu". XLA takes the way of GPUs.
    """
    signature = function.input_signature

    def traced(kind: str) -> tf.types.experimental.ConcreteFunction:
        # Kept whole, as the function itself: the bits do not depend on what is around it.
        own = tf.function(function.python_function, input_signature=signature,
                          experimental_attributes={"_noinline": True})
        with kernels_of(kind):
            return own.get_concrete_function()

    if target != "any":
        return traced(target)
    on_cpu, elsewhere = traced("cpu"), traced("gpu")

    def choose(*inputs):
        place = tf.raw_ops.DeviceIndex(device_names=["CPU"])  # 0 there
        return tf.switch_case(place, {0: lambda: on_cpu(*inputs)}, lambda: elsewhere(*inputs))

    return tf.function(choose, input_signature=signature)
