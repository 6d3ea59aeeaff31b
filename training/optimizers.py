"""Adam whose update is one operation per variable, with loss scaling where the format needs it."""

import keras
import numpy as np
import tensorflow as tf


@keras.saving.register_keras_serializable(package="chest_gan")
class FusedAdam(keras.optimizers.Adam):
    """keras.optimizers.Adam by TensorFlow's own operation: the same update (Kingma and Ba 2015, section 2, last
    paragraph), moments and step count, in one pass over memory in place of some ten.

    Raises ValueError for amsgrad, which that operation has not.
    """

    def __init__(self, learning_rate=1e-3, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7,
                 amsgrad: bool = False, **kwargs):
        if amsgrad:
            raise ValueError("amsgrad is not supported; use keras.optimizers.Adam")
        super().__init__(learning_rate, beta_1, beta_2, epsilon, **kwargs)

    def update_step(self, gradient, variable, learning_rate):
        """Moves `variable` by its gradient of the same shape; Keras calls it for each variable of a step."""
        variable = variable.value if isinstance(variable, keras.Variable) else variable
        index = self._get_variable_index(variable)
        rate, beta_1, beta_2, epsilon = (
            tf.cast(value, variable.dtype) for value in (learning_rate, self.beta_1, self.beta_2, self.epsilon))
        step = tf.cast(self.iterations + 1, variable.dtype)  # counts the steps done
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle, m=self._momentums[index].value.handle, v=self._velocities[index].value.handle,
            # The powers correct the moments' bias.
            beta1_power=beta_1**step, beta2_power=beta_2**step, lr=rate, beta1=beta_1, beta2=beta_2,
            epsilon=epsilon, grad=tf.cast(gradient, variable.dtype))


def make_optimizer(rate: float, beta_1: float, beta_2: float, epsilon: float) -> keras.optimizers.Optimizer:
    """Adam, with loss scaling inside `dtype_policy("mixed_float16")`. Call it inside the strategy's scope."""
    adam = FusedAdam(rate, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon)
    if keras.mixed_precision.global_policy().name == "mixed_float16":
        return keras.optimizers.LossScaleOptimizer(adam)
    return adam


def reset_optimizer(optimizer: keras.optimizers.Optimizer) -> None:
    """Forgets moments and step count, as a fresh optimizer; the learning rate stays."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)  # with loss scaling: the Adam within
    for variable in inner.variables:
        if variable is not inner._learning_rate:  # a variable too
            variable.assign(np.zeros(variable.shape, variable.dtype))
