"""Compiled training steps: one in a call, or several where a step is short beside it; by XLA where asked for."""

from collections.abc import Callable, Iterator, Sequence

import tensorflow as tf

from training.config import EngineConfig, Pix2PixHDConfig

_AT_ONCE = 10  # steps in one call on a GPU: at some milliseconds each, Ctrl-C is still met at once


class Steps:
    """A trainer's step, traced once.

    Args:
      train: (batch, value) -> scalar metrics float32, on one replica; `batch` as `distributed_batches` gives it,
        `value` a float32 scalar that the schedule sets (0 where there is none).
      strategy: from `training.devices`.
      xla: whether XLA compiles it.
    """

    def __init__(self, train: Callable[[tuple[tf.Tensor, ...], tf.Tensor], dict[str, tf.Tensor]],
                 strategy: tf.distribute.Strategy, xla: bool):
        self._train = tf.function(train, jit_compile=True) if xla else train
        self._strategy, self._names = strategy, ()
        self._one = tf.function(self._step)
        self._several = tf.function(self._loop)

    def run(self, batches: Iterator, values: Sequence[float]) -> dict[str, tf.Tensor]:
        """As many steps as there are `values`; each metric is float32 [steps]. Waits for no device."""
        if len(values) == 1:  # no loop: its graph is that of a step alone
            rows = self._one(next(batches), tf.constant(values[0], tf.float32))[None]
        else:
            rows = self._several(batches, tf.constant(values, tf.float32))  # [steps, metrics]
        return dict(zip(self._names, tf.unstack(rows, axis=1), strict=True))

    def _step(self, batch: tuple[tf.Tensor, ...], value: tf.Tensor) -> tf.Tensor:
        """All metrics of a step as one vector: fetched in one go."""
        metrics = self._strategy.run(self._train, (batch, value))
        self._names = tuple(metrics)  # while traced
        return tf.stack([self._strategy.reduce("MEAN", metric, None) for metric in metrics.values()])

    def _loop(self, batches: Iterator, values: tf.Tensor) -> tf.Tensor:
        rows = tf.TensorArray(tf.float32, tf.shape(values)[0])
        for place in tf.range(tf.shape(values)[0]):
            rows = rows.write(place, self._step(next(batches), values[place]))
        return rows.stack()


def steps_at_once(config: EngineConfig, strategy: tf.distribute.Strategy) -> int:
    """Steps in one call: `config.steps_per_call`, or 10 on one GPU and 1 elsewhere."""
    if config.steps_per_call:
        return config.steps_per_call
    return _AT_ONCE if _one_gpu(strategy) else 1


def uses_xla(config: EngineConfig, strategy: tf.distribute.Strategy) -> bool:
    """Whether XLA compiles steps: as `config.xla` says. "auto" is for translators on one GPU, where it was seen to
    pay; to compile the others takes minutes (docs/performance.md)."""
    if config.xla != "auto":
        return config.xla == "on"
    return _one_gpu(strategy) and isinstance(config, Pix2PixHDConfig)


def _one_gpu(strategy: tf.distribute.Strategy) -> bool:
    return strategy.num_replicas_in_sync == 1 and bool(tf.config.list_logical_devices("GPU"))
