"""What PGGAN and Pix2PixHD share as Keras models: two networks, two optimizers, an average and a counter."""

import keras
import tensorflow as tf


class TwoPlayers(keras.Model):
    """What both GANs share: a generator, a discriminator, an optimizer and a counter of steps for each.

    `compile` takes Keras optimizers; what is logged are means since `reset_metrics`, as `fit` resets them.
    """

    def __init__(self, generator: keras.Model, discriminator: keras.Model, metrics: tuple[str, ...], seed: int,
                 **kwargs):
        super().__init__(**kwargs)
        self.generator, self.discriminator, self.seed = generator, discriminator, seed
        self.trackers = {name: keras.metrics.Mean(name) for name in metrics}
        # Counts what was shown, over all replicas: draws and continuation depend on it.
        self.position = self.add_weight(name="position", dtype="int64", initializer="zeros", trainable=False,
                                        aggregation="only_first_replica")

    def compile(self, generator_optimizer="adam", discriminator_optimizer="adam", **kwargs):
        """Both optimizers by name or as objects, float16 ones with their own `LossScaleOptimizer`.

        Keyword arguments are those of `keras.Model.compile`: `jit_compile`, `run_eagerly`, ...
        """
        # Keras would wrap this one alone for float16.
        super().compile(optimizer=generator_optimizer, auto_scale_loss=False, **kwargs)
        self.discriminator_optimizer = keras.optimizers.get(discriminator_optimizer)
        # Before the first step: inside one, a mirrored strategy makes no variables.
        if self.generator.built and self.discriminator.built:
            self._build_optimizers()

    def _build_optimizers(self) -> None:
        self.optimizer.build(self.generator_variables)
        self.discriminator_optimizer.build(self.discriminator.trainable_variables)

    @property
    def generator_variables(self) -> list[keras.Variable]:
        """What the generator's optimizer trains."""
        return self.generator.trainable_variables

    @property
    def replicas(self) -> int:
        """Devices that share a step; gradients are summed over them."""
        return self.distribute_strategy.num_replicas_in_sync

    def advance(self, count: int) -> None:
        """Moves the counter on by `count`, once for all replicas."""
        self.position.assign_add(tf.constant(count, tf.int64))

    def logged(self, values: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Notes this replica's values of a step; returns the means so far."""
        for name, value in values.items():
            self.trackers[name].update_state(value)
        return {name: self.trackers[name].result() for name in values}

    def test_step(self, data):
        """Raises NotImplementedError: the losses of two players tell nothing of how good either is."""
        raise NotImplementedError(f"{type(self).__name__} has no evaluate and no validation_data: its losses tell "
                                  "nothing of its pictures; compare those with real ones (evaluation/metrics)")

    def get_config(self):
        return {**super().get_config(), "seed": self.seed,
                "generator": keras.saving.serialize_keras_object(self.generator),
                "discriminator": keras.saving.serialize_keras_object(self.discriminator)}

    @classmethod
    def from_config(cls, config):
        parts = ("generator", "discriminator")
        return cls(**{**config, **{name: keras.saving.deserialize_keras_object(config[name]) for name in parts}})

    def get_compile_config(self):
        if not self.compiled:
            return {}
        return {"generator_optimizer": keras.saving.serialize_keras_object(self.optimizer),
                "discriminator_optimizer": keras.saving.serialize_keras_object(self.discriminator_optimizer)}

    def compile_from_config(self, config):
        self.compile(**{name: keras.saving.deserialize_keras_object(value) for name, value in config.items()})
