"""Floating-point operations by count: of the convolutions and products of matrices in a network's forward graph.

A multiplication with its addition counts as two. What else a network does (norms, activations, resizing) is left
out: beside these it is under one in a hundred operations. A training step is a number of forward passes, since the
gradient of a convolution by its input, and that by its kernel, take as many operations as itself.
"""

import math
from collections.abc import Callable, Sequence

import tensorflow as tf

# (generator, discriminator), in forward passes.
# WGAN-GP. Generator: fakes for the discriminator 1, for itself 1, and its gradients 2. Discriminator: real and
# fake pictures with gradients 3 + 3; the penalty's pass 1, its gradient by the picture 1, the gradients of that
# gradient 2, and of the pass beneath 2; the generator's loss 1, and its gradient by the picture 1.
PGGAN_STEP = (4, 14)
# Generator 1, and its gradients 2. Discriminators: real and fake pictures with gradients 3 + 3, which both losses
# share, and the generator's gradient by the picture 1.
TRANSLATOR_STEP = (3, 7)
SEGMENTER_STEP = 3  # forward 1, gradients 2


def forward_flops(network: Callable, shape: Sequence[int]) -> float:
    """Operations of `network` for a float32 input of `shape`, all of it known."""
    traced = tf.function(network, autograph=False).get_concrete_function(tf.TensorSpec(shape, tf.float32))
    return float(sum(_operations(operation) for operation in traced.graph.get_operations()))


def _operations(operation: tf.Operation) -> int:
    if operation.type == "Conv2D":
        kernel, made = operation.inputs[1].shape, operation.outputs[0].shape
        return 2 * math.prod(kernel) * _places(made)  # the whole kernel at every place of the output
    if operation.type == "Conv2DBackpropInput":  # a transposed convolution: at every place of its input
        return 2 * math.prod(operation.inputs[1].shape) * _places(operation.inputs[2].shape)
    if operation.type in ("MatMul", "BatchMatMulV2"):
        one, made = operation.inputs[0].shape, operation.outputs[0].shape
        transposed = operation.get_attr("transpose_a" if operation.type == "MatMul" else "adj_x")
        return 2 * math.prod(made) * one[-2 if transposed else -1]
    return 0


def _places(shape: tf.TensorShape) -> int:
    """Pixels of all pictures of [N, H, W, C]."""
    return math.prod(shape[:3])
