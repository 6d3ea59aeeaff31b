"""The two GANs as Keras models: `compile`, `fit`, callbacks and `save` work as for any other.

`train_step` is the whole mathematics of an update. Training with exact continuation (`training.loop`) calls the
same method; every random draw in it is a function of the seed and of the counter `position`, which is a weight.
"""

from collections.abc import Callable

import keras
import tensorflow as tf

from models import losses
from models.averaging import copy_of, early_decay, update_average
from models.pggan import FIRST_LEVEL, Discriminator, Generator
from models.pggan_layers import downscale, upscale
from models.precision import gradient_norm
from models.two_players import TwoPlayers

_LATENT_D, _LATENT_G, _MIX, _AUGMENT = range(4)  # purposes of the random draws of a PGGAN's step


@keras.saving.register_keras_serializable(package="chest_gan")
class PGGAN(TwoPlayers):
    """A growing GAN trained by WGAN-GP (Karras et al. 2018, appendix A): latents [N, L] -> pictures in [-1, 1].

    `train_step` takes real pictures float32 [N, R, R, C] in [-1, 1] at the full resolution R, N known. `call` is
    the averaged generator at the present level. `grow` sets level and fade; under `fit`,
    `training.schedules.Growth` does.

    Args:
      generator, discriminator: of one resolution and number of channels.
      average_decay: of the averaged generator, at each step.
      penalty_weight, drift_weight: of the gradient penalty, and of score(real)^2.
      augment: what the discriminator sees of pictures, (pictures, seed int64 [2]) -> pictures; None for all.
        A function of yours: not saved with the model.
      seed: of every draw.
      level: at which it begins; None for the full resolution.
    """

    def __init__(self, generator: Generator, discriminator: Discriminator, average_decay: float = 0.999,
                 penalty_weight: float = 10.0, drift_weight: float = 1e-3,
                 augment: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None, seed: int = 0,
                 level: int | None = None, **kwargs):
        super().__init__(generator, discriminator, ("d_loss", "score_real", "score_fake", "penalty", "d_gradient",
                                                    "g_loss", "g_gradient"), seed, **kwargs)
        if (generator.resolution, generator.channels) != (discriminator.resolution, discriminator.channels):
            raise ValueError("generator and discriminator must be of one resolution and number of channels; "
                             f"received {generator.resolution}, {generator.channels} and "
                             f"{discriminator.resolution}, {discriminator.channels}")
        self.average_decay, self.penalty_weight, self.drift_weight = average_decay, penalty_weight, drift_weight
        self.augment = augment
        # Same shape; follows its weights.
        self.average = copy_of(generator)
        pictures = (None, discriminator.resolution, discriminator.resolution, discriminator.channels)
        for network, shape in ((generator, (None, generator.latent_size)),
                               (self.average, (None, generator.latent_size)), (discriminator, pictures)):
            if not network.built:  # one from a file is
                network.build(shape)
        self.average.set_weights(generator.get_weights())  # begins where the generator does
        # A Python number: each level is a graph of its own.
        self.level = generator.last_level if level is None else level
        self.fade = self.add_weight(name="fade", initializer="ones", dtype="float32", trainable=False)
        self.built = True  # the networks have builds of their own

    def grow(self, level: int, fade: float = 1.0) -> None:
        """Trains at 2^level pixels from now on, its newest block weighing `fade` in (0, 1].

        A change of level makes `fit` and `predict` trace anew. Raises ValueError for a level that there is not.
        """
        if level not in self.generator.levels:
            raise ValueError(f"level must be in {self.generator.levels}; received {level}")
        self.fade.assign(fade)  # a weight: no new trace for another fade
        if level != self.level:
            self.level = level
            # its level is a constant of a trace
            for traced, trace in (("train_function", self.make_train_function),
                                  ("predict_function", self.make_predict_function)):
                if getattr(self, traced, None) is not None:
                    trace(force=True)

    def call(self, latents):
        return self.average(latents, level=self.level, fade=tf.convert_to_tensor(self.fade))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 2**self.level, 2**self.level, self.generator.channels)

    def train_step(self, data):
        """Discriminator, average, generator: one update of each, as released."""
        images, *_ = keras.utils.unpack_x_y_sample_weight(data)  # [N, R, R, C]
        fade = tf.convert_to_tensor(self.fade)
        # Int64 [2], of every draw of the step.
        seed = tf.stack([tf.constant(self.seed, tf.int64), tf.convert_to_tensor(self.position)])
        real = at_level(images, self.level, fade)  # [N, 2^level, 2^level, C]
        values = self._train_discriminator(real, fade, seed)
        update_average(self.average, self.generator, self.average_decay)
        values |= self._train_generator(real.shape[0], fade, seed)
        self.advance(real.shape[0] * self.replicas)
        return self.logged(values)

    def _train_discriminator(self, real, fade, seed) -> dict[str, tf.Tensor]:
        optimizer, critic, count = self.discriminator_optimizer, self.discriminator, real.shape[0]
        # Outside the tape, which follows the discriminator alone: [N, 2^level, 2^level, C].
        fake = self.generator(self._draw(seed, _LATENT_D, count), level=self.level, fade=fade)
        # Numbers 0, 1, 2: the step's three calls.
        real, fake = self._augmented(real, seed, 0), self._augmented(fake, seed, 1)
        mix = self._draw(seed, _MIX, count)

        def score(images):
            return critic(images, level=self.level, fade=fade)

        with tf.GradientTape() as tape:
            real_scores, fake_scores = score(real), score(fake)  # [N, 1] each
            penalty = losses.gradient_penalty(score, real, fake, mix, self.penalty_weight)
            each = (losses.critic_loss(real_scores, fake_scores) + penalty  # [N]
                    + losses.drift(real_scores, self.drift_weight))
            loss = tf.reduce_mean(each)
            scaled = optimizer.scale_loss(loss / self.replicas)  # replicas' gradients are summed
        norm = self._apply(optimizer, tape.gradient(scaled, critic.trainable_variables), critic)
        return {"d_loss": loss, "score_real": tf.reduce_mean(real_scores),
                "score_fake": tf.reduce_mean(fake_scores), "penalty": tf.reduce_mean(penalty),
                "d_gradient": norm}

    def _train_generator(self, count: int, fade, seed) -> dict[str, tf.Tensor]:
        draw = self._draw(seed, _LATENT_G, count)
        with tf.GradientTape() as tape:
            fake = self.generator(draw, level=self.level, fade=fade)
            seen = self._augmented(fake, seed, 2)  # differentiable: the generator learns through it
            scores = self.discriminator(seen, level=self.level, fade=fade)
            loss = tf.reduce_mean(losses.generator_loss(scores))
            scaled = self.optimizer.scale_loss(loss / self.replicas)
        gradients = tape.gradient(scaled, self.generator.trainable_variables)
        return {"g_loss": loss, "g_gradient": self._apply(self.optimizer, gradients, self.generator)}

    def _apply(self, optimizer, gradients: list, network: keras.Model) -> tf.Tensor:
        """Updates the variables that took part (levels not grown yet have no gradient); the gradients' norm."""
        pairs = [(gradient, variable) for gradient, variable
                 in zip(gradients, network.trainable_variables, strict=True) if gradient is not None]
        # Of this replica's share, times their number.
        norm = gradient_norm(optimizer, [gradient for gradient, _ in pairs]) * self.replicas
        optimizer.apply_gradients(pairs)
        return norm

    def _draw(self, seed: tf.Tensor, purpose: int, count: int) -> tf.Tensor:
        """This replica's rows of the step's latents [count, L], or mixing factors [count, 1, 1, 1]."""
        total = count * self.replicas
        seed = tf.stack([seed[0] * 4 + purpose, seed[1]])  # four streams of draws per seed
        if purpose == _MIX:
            drawn = tf.random.stateless_uniform((total, 1, 1, 1), seed, alg="philox")
        else:
            drawn = tf.random.stateless_normal((total, self.generator.latent_size), seed, alg="philox")
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        return tf.gather(drawn, replica + self.replicas * tf.range(count))  # dealt in turn, as real pictures are

    def _augmented(self, images: tf.Tensor, seed: tf.Tensor, number: int) -> tf.Tensor:
        """`images` as the discriminator sees them; `number` tells a step's calls apart."""
        if self.augment is None:
            return images
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        seed = tf.stack([seed[0] * 4 + _AUGMENT, seed[1]])
        for part in (number, replica):
            seed = tf.random.experimental.stateless_fold_in(seed, part)  # a stream for each call and replica
        return self.augment(images, seed=seed)

    def get_config(self):
        return {**super().get_config(), "average_decay": self.average_decay,
                "penalty_weight": self.penalty_weight, "drift_weight": self.drift_weight, "level": self.level}


def at_level(images: tf.Tensor, level: int, fade: tf.Tensor | float) -> tf.Tensor:
    """Pictures [N, R, R, C] box-averaged to side 2^level, their newest detail faded in as the generator's is."""
    real = averaged(images, level)  # [N, 2^level, 2^level, C]
    if level == FIRST_LEVEL:
        return real  # nothing coarser to fade from
    # Without the detail that the generator cannot show yet.
    coarse = upscale(downscale(real))
    return coarse + (real - coarse) * fade


def averaged(images: tf.Tensor, level: int) -> tf.Tensor:
    """Pictures [N, R, R, C] box-averaged to [N, 2^level, 2^level, C]."""
    factor = images.shape[1] // 2**level
    return images if factor == 1 else tf.nn.avg_pool2d(images, factor, factor, "VALID")


@keras.saving.register_keras_serializable(package="chest_gan")
class Pix2PixHD(TwoPlayers):
    """A translator (Wang et al. 2018): one-hot label maps [N, H, W, K] -> pictures [N, H, W, C] in [-1, 1].

    `train_step` takes (condition, picture) and updates both networks from the same forward pass, as released.
    `perceptual_loss`, `augment` and `pool` are not saved with the model: give them again to one that trains on.

    Args:
      generator: a `GlobalGenerator` or `LocalEnhancer`.
      discriminator: a `MultiscaleDiscriminator`.
      feature_weight: of feature matching; 0 switches it off.
      perceptual_loss: a `losses.PerceptualLoss`, or None.
      augment: what the discriminators see of condition and picture [N, H, W, K + C], (pair, seed int64 [2]) ->
        pair; a step's real and fake pairs share the seed, so that their features can be matched. None for all.
      pool: has `query(pairs, position)`, the fakes that the discriminators learn from; None for the newest.
      enhancer_only: trains a `LocalEnhancer` without its global generator.
      seed: of every draw.
      average_decay: per step, of an averaged generator, which then makes the pictures; less in the first steps,
        after n of them (1 + n) / (10 + n) at most. 0 for none, as released.
    """

    def __init__(self, generator: keras.Model, discriminator: keras.Model, feature_weight: float = 10.0,
                 perceptual_loss: losses.PerceptualLoss | None = None,
                 augment: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None, pool=None,
                 enhancer_only: bool = False, seed: int = 0, average_decay: float = 0.0, **kwargs):
        names = ["d_real", "d_fake", "g_gan"]
        names += ["g_features"] if feature_weight else []
        names += ["g_vgg"] if perceptual_loss else []
        super().__init__(generator, discriminator, (*names, "d_gradient", "g_gradient"), seed, **kwargs)
        self.feature_weight, self.perceptual_loss = feature_weight, perceptual_loss
        self.augment, self.pool, self.enhancer_only = augment, pool, enhancer_only
        self.average_decay = average_decay
        self.average = copy_of(generator) if average_decay else None

    @property
    def translator(self) -> keras.Model:
        """The generator whose pictures count: the averaged one where there is one."""
        return self.generator if self.average is None else self.average

    def build(self, input_shape):
        """Both networks for conditions of `input_shape` [N, H, W, K], and their optimizers once compiled."""
        channels = self.generator.output_channels
        if not self.generator.built:
            self.generator.build((None, None, None, input_shape[-1]))
        fresh = self.average is not None and not self.average.built
        if fresh:
            self.average.build((None, None, None, input_shape[-1]))
        if not self.discriminator.built:
            self.discriminator.build((None, None, None, input_shape[-1] + channels))
        self.built = True
        if self.compiled:
            # Under a strategy `fit` builds before it has variables, which the optimizers cannot follow.
            if not isinstance(self.generator.variables[0].value, tf.Variable):
                raise ValueError("under a strategy, build a Pix2PixHD before fit: model.build((None, None, None, "
                                 f"{input_shape[-1]}))")
            self._build_optimizers()
        if fresh:
            self.average.set_weights(self.generator.get_weights())  # begins where the generator does

    @property
    def generator_variables(self) -> list[keras.Variable]:
        """What the generator's optimizer trains: all, or only the enhancer around the global generator."""
        return self.generator.enhancer_variables if self.enhancer_only else self.generator.trainable_variables

    def call(self, condition):
        return self.translator(condition)

    def compute_output_shape(self, input_shape):
        return self.generator.compute_output_shape(input_shape)

    def train_step(self, data):
        """Condition [N, H, W, K] and picture [N, H, W, C] in [-1, 1]: one update of each network."""
        condition, real, _ = keras.utils.unpack_x_y_sample_weight(data)
        if not self.built:  # `fit` leaves that to the first step
            with tf.init_scope():
                self.build(condition.shape)  # variables cannot be made inside a traced step
        position = tf.convert_to_tensor(self.position)
        with tf.GradientTape() as g_tape, tf.GradientTape() as d_tape:
            fake = self.generator(condition)  # [N, H, W, C]
            real_seen, fake_seen, shown_seen = self._discriminate(condition, real, fake, position)
            # Discriminators: least squares; half the sum of real and fake, as released.
            d_values = {"d_real": losses.lsgan_loss(real_seen, True),
                        "d_fake": losses.lsgan_loss(shown_seen, False)}
            d_scaled = self.discriminator_optimizer.scale_loss(sum(d_values.values()) * (0.5 / self.replicas))
            # Generator: least squares, feature matching, VGG.
            g_values = self._generator_losses(real, fake, real_seen, fake_seen)
            g_scaled = self.optimizer.scale_loss(sum(g_values.values()) / self.replicas)
        # Each tape is asked for its own network's variables only: what `detach` does in the released step.
        g_norm = self._apply(self.optimizer, g_tape, g_scaled, self.generator_variables)
        d_norm = self._apply(self.discriminator_optimizer, d_tape, d_scaled,
                             self.discriminator.trainable_variables)
        if self.average is not None:
            update_average(self.average, self.generator, early_decay(self.average_decay, self.position))
        self.advance(1)
        return self.logged({**d_values, **g_values, "d_gradient": d_norm, "g_gradient": g_norm})

    def _apply(self, optimizer, tape: tf.GradientTape, loss: tf.Tensor, variables: list) -> tf.Tensor:
        """Updates the variables; the norm of their gradients."""
        gradients = tape.gradient(loss, variables)
        norm = gradient_norm(optimizer, gradients) * self.replicas
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return norm

    def _discriminate(self, condition, real, fake, position):
        """Features of real and fake pictures, and of the fakes that the discriminators learn from.

        One pass serves the last two unless a pool of earlier fakes is kept.
        """
        real_pair, fake_pair = (self._augmented(tf.concat([condition, image], -1), position)  # [N, H, W, K + C]
                                for image in (real, fake))
        real_seen, fake_seen = self.discriminator(real_pair), self.discriminator(fake_pair)
        if self.pool is None:
            return real_seen, fake_seen, fake_seen
        # The generator still learns from the newest.
        return real_seen, fake_seen, self.discriminator(self.pool.query(fake_pair, position))

    def _augmented(self, pair: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
        if self.augment is None:
            return pair
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        # Other draws on each replica.
        seed = tf.random.experimental.stateless_fold_in([self.seed, tf.cast(position, tf.int32)], replica)
        return self.augment(pair, seed=seed)

    def _generator_losses(self, real, fake, real_seen, fake_seen) -> dict[str, tf.Tensor]:
        values = {"g_gan": losses.lsgan_loss(fake_seen, True)}
        if self.feature_weight:
            values["g_features"] = losses.feature_matching_loss(real_seen, fake_seen, self.feature_weight)
        if self.perceptual_loss:
            values["g_vgg"] = self.perceptual_loss(real, fake)
        return values

    def get_config(self):
        return {**super().get_config(), "feature_weight": self.feature_weight, "enhancer_only": self.enhancer_only,
                "average_decay": self.average_decay}
