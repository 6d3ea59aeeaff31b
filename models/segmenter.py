"""What all segmenters are: their training step, and what is done to a film before them."""

import keras
import tensorflow as tf

from models.precision import gradient_norm

_FLATTEST = 1 / 255  # deviation below which a film is not stretched further


class Segmenter(keras.Model):
    """Films [N, H, W, C] in [-1, 1] -> logits float32 [N, H, W, num_classes].

    C, 1 for grey films and 3 for colour, is that of `build` or of the first films, and then `film_channels`.

    Args:
      num_classes: background included.
      standardize: every picture is first shifted and scaled to mean 0 and deviation 0.5, all channels alike, so
        that its exposure does not matter.
    """

    def __init__(self, num_classes: int, standardize: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.num_classes, self.standardize = num_classes, standardize

    def train_step(self, data):
        """Films [N, H, W, C] in [-1, 1] and codes [N, H, W]: Keras' step with loss and metrics as compiled.

        Its logs also tell the norm of the gradients.
        """
        films, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
        replicas = self.distribute_strategy.num_replicas_in_sync
        with tf.GradientTape() as tape:
            logits = self(films, training=True)
            loss = self.compute_loss(films, labels, logits, weights)  # with replicas, this one's share
            scaled = self.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, self.trainable_variables)
        norm = gradient_norm(self.optimizer, gradients) * replicas  # of a share, times their number
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        # Its mean over pictures, as Keras' own step keeps it.
        self._loss_tracker.update_state(loss * replicas, sample_weight=tf.shape(films)[0])
        return {**self.compute_metrics(films, labels, logits, weights), "gradient": norm}

    def prepare(self, films: tf.Tensor) -> tf.Tensor:
        """Films as the layers see them; a constant one becomes 0 where it is standardized."""
        if not self.standardize:
            return films
        full = tf.cast(films, tf.float32)
        mean, variance = tf.nn.moments(full, (1, 2, 3), keepdims=True)  # [N, 1, 1, 1] each
        return tf.cast((full - mean) * (0.5 / tf.maximum(tf.sqrt(variance), _FLATTEST)), films.dtype)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:3], self.num_classes)

    def get_config(self):
        return {**super().get_config(), "num_classes": self.num_classes, "standardize": self.standardize}
