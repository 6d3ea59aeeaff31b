"""A whole method as one TensorFlow graph: from a count and a seed to pairs, to be exported."""

from collections.abc import Sequence

import tensorflow as tf

from datasets import grey
from models.methods import Method


class MethodGraph(tf.Module):
    """Makes pairs `batch` at a time, so that memory does not grow with the count but by the pairs themselves.

    Args:
      method: of tensors, int64 indices [N] and seed [], that refuses none.
      variables: the networks' weights.
      class_names: by code, background first.
      batch: pairs made at a time.

    Attributes:
      functions: "generate": (count int32 [], seed int64 [], first int64 []) -> for the indices first to
        first + count - 1 "labels" uint8 [N, H, W], "values" float32 [N, H, W, C] in [-1, 1], the same as levels
        in "films" uint8 [N, H, W] or RGB [N, H, W, 3], and "dots" uint8 [N, h, w] where the method has them.
        "serving_default" is the same. "class_names": () -> {"class_names": string [K]}.
    """

    def __init__(self, method: Method, variables: Sequence[tf.Variable], class_names: Sequence[str], batch: int):
        super().__init__()
        self.weights = list(variables)  # found by SavedModel's tracking

        @tf.function(input_signature=[tf.TensorSpec((None,), tf.int64), tf.TensorSpec((), tf.int64)])
        def draw(indices, seed):
            pairs = method(indices, seed)
            made = {"labels": pairs.labels, "values": pairs.films}
            return made if pairs.dots is None else {**made, "dots": pairs.dots}

        draw = draw.get_concrete_function()  # once: its outputs tell names and shapes
        generate = tf.function(lambda count, seed, first: _generate(draw, batch, count, seed, first),
                               input_signature=[tf.TensorSpec((), tf.int32, "count"),
                                                tf.TensorSpec((), tf.int64, "seed"),
                                                tf.TensorSpec((), tf.int64, "first")])
        names = tf.function(lambda: {"class_names": tf.constant(class_names)}, input_signature=())
        function = generate.get_concrete_function()
        self.functions = {"generate": function, "serving_default": function,
                          "class_names": names.get_concrete_function()}


def _generate(draw, batch: int, count: tf.Tensor, seed: tf.Tensor,
              first: tf.Tensor) -> dict[str, tf.Tensor]:
    """Whole batches and a smaller last one, as a caller in Python would cut them."""
    check = tf.debugging.assert_positive(count, "count must be at least 1")
    # A graph runs what its results need: the check is made one of these.
    with tf.control_dependencies([check]):
        end = first + tf.cast(count, tf.int64)
    # Batches differ in length, and no picture's shape is written in.
    arrays = {name: tf.TensorArray(tensor.dtype, size=0, dynamic_size=True, infer_shape=False,
                                   element_shape=(None, *tensor.shape[1:]))
              for name, tensor in draw.structured_outputs.items()}

    def add(turn, arrays):
        start = first + tf.cast(turn, tf.int64) * batch  # in int64, as the indices
        made = draw(tf.range(start, tf.minimum(start + batch, end)), seed)
        return turn + 1, {name: array.write(turn, made[name]) for name, array in arrays.items()}

    turns = -(-count // batch)  # rounded up
    # One at a time: memory.
    _, arrays = tf.while_loop(lambda turn, _: turn < turns, add, (tf.constant(0), arrays), parallel_iterations=1)
    made = {name: array.concat() for name, array in arrays.items()}
    return {**made, "films": grey.from_network(made["values"])}
