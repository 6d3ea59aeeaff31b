"""3x3 convolutions of many maps, faster on CPUs as products of matrices."""

import tensorflow as tf

from models.device_kernels import cpu_kernels

WIDE = 512  # input maps from which the products are faster (docs/performance.md)
FEW = 4  # pictures up to which they are used, where the number is known: more gain nothing and take memory


def conv3x3(pictures: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """The convolution of stride 1 without padding: [N, H + 2, W + 2, C] and kernel [3, 3, C, F] -> [N, H, W, F].

    In float32 on a CPU, from 512 maps on and for few pictures or an open number, it is the sum of three products
    of matrices, one for each row of the kernel. The same function within rounding in up to half the time for one
    picture, about the same for several; its gradients are those of the convolution, which are faster.
    """
    wide = kernel.shape[2] >= WIDE and kernel.dtype == tf.float32 and cpu_kernels()
    few = (pictures.shape[0] or 1) <= FEW
    # An open number counts as one: inference.
    return _products(pictures, kernel) if wide and few else tf.nn.conv2d(pictures, kernel, 1, "VALID")


@tf.custom_gradient
def _products(pictures: tf.Tensor, kernel: tf.Tensor):
    def gradient(upstream):
        # of the convolution, not of the products
        return (tf.compat.v1.nn.conv2d_backprop_input(tf.shape(pictures), kernel, upstream, [1] * 4, "VALID"),
                tf.compat.v1.nn.conv2d_backprop_filter(pictures, kernel.shape, upstream, [1] * 4, "VALID"))

    count, height, width, _ = tf.unstack(tf.shape(pictures) - [0, 2, 2, 0])  # H and W without the border
    maps, filters = kernel.shape[2:]
    rows = tf.concat([pictures[:, :, place:place + width] for place in range(3)], -1)  # [N, H + 2, W, 3C]
    kernel_rows = tf.reshape(kernel, (3, 3 * maps, filters))  # [3, 3C, F]: the columns side by side, as in `rows`
    # [N H W, 3C] x [3C, F]
    parts = [tf.matmul(tf.reshape(rows[:, place:place + height], (-1, 3 * maps)), kernel_rows[place])
             for place in range(3)]
    made = tf.reshape(tf.add_n(parts), (count, height, width, filters))  # [N, H, W, F]
    # What the graph knows of the shape beforehand, which the reshape forgot.
    known, *sides, _ = pictures.shape
    shape = [known, *(None if side is None else side - 2 for side in sides), filters]
    return tf.ensure_shape(made, shape), gradient
