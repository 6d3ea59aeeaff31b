"""Where and in which number format a run computes: distribution strategy, precision, determinism."""

import functools
import os
import platform
from collections.abc import Callable

import absl.logging
import keras
import tensorflow as tf

from datasets.common.errors import UserError
from training.config import EngineConfig, SMANetConfig
from training.cpu_memory import keep_freed_memory


def prepare(config: EngineConfig) -> tf.distribute.Strategy:
    """Seeds Keras, sets determinism, and returns the strategy to build under.

    Freed memory is kept for the steps to come, but for what an earlier training in this process left. Raises
    UserError for what cannot be done twice to the same bits.
    """
    if config.deterministic and config.xla == "on" and isinstance(config, SMANetConfig):
        raise UserError("--deterministic --xla=on: TensorFlow has no gradient of max pooling under XLA that "
                        "repeats to the bit; leave one of them out (--xla=auto does not compile a segmenter)")
    absl.logging.set_verbosity(absl.logging.WARNING)  # Keras lowers it; TensorFlow then reports each checkpoint
    strategy = make_strategy(config.strategy)  # before anything is computed, or a cluster cannot be joined
    keras.backend.clear_session()  # layer names and graphs of an earlier training
    keep_freed_memory()
    keras.utils.set_random_seed(config.seed % 2**32)  # NumPy takes 32 bits
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
        # The rewriting of graphs may make sums of gradients into additions in whatever order they are ready, it
        # seems where little memory is free (docs/performance.md); it has no option for that pass alone.
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    return strategy


def make_strategy(name: str) -> tf.distribute.Strategy:
    """`name` as in EngineConfig.strategy. Raises UserError where the devices for it are missing."""
    if name == "multi_worker":
        return _multi_worker()
    gpus = tf.config.list_logical_devices("GPU")
    if name == "auto":
        name = "mirrored" if len(gpus) > 1 else "one_device"
    if name == "one_device":
        return tf.distribute.OneDeviceStrategy("/GPU:0" if gpus else "/CPU:0")
    # Without GPUs: the logical CPUs.
    return _mirrored(tuple(device.name for device in gpus or tf.config.list_logical_devices("CPU")))


# One strategy per process: a second one would number its exchanges between devices from the start again, and meet
# those of the first.
@functools.cache
def _mirrored(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    if len(tf.config.list_logical_devices("GPU")) > len(tf.config.list_physical_devices("GPU")):
        # NCCL refuses two parts of one card.
        return tf.distribute.MirroredStrategy(devices, tf.distribute.ReductionToOneDevice())
    return tf.distribute.MirroredStrategy(devices)


@functools.cache
def _multi_worker() -> tf.distribute.Strategy:
    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    try:
        named = bool(resolver.cluster_spec().as_dict())
    except (ValueError, TypeError):  # not JSON, or not a cluster
        named = False
    if not named:
        raise UserError("--strategy=multi_worker: the environment variable TF_CONFIG names no cluster; set it on "
                        'each worker, e.g. {"cluster": {"worker": ["host:port", ...]}, '
                        '"task": {"type": "worker", "index": 0}}')
    return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)


def any_worker(strategy: tf.distribute.Strategy, *flags: bool) -> tuple[bool, ...]:
    """Whether each flag is set on any worker: what all of them must do together is decided together."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.cluster_spec().as_dict():  # one process
        return flags
    # Above 0 where any worker's is set.
    shared = _sum_over_workers(strategy)(tf.constant([float(flag) for flag in flags]))
    return tuple(bool(value > 0) for value in shared.numpy())


@functools.cache
def _sum_over_workers(strategy: tf.distribute.Strategy) -> Callable[[tf.Tensor], tf.Tensor]:
    def exchange(own):
        return tf.distribute.get_replica_context().all_reduce("SUM", tf.identity(own))  # a copy on this device

    @tf.function
    def add(own):
        return strategy.experimental_local_results(strategy.run(exchange, (own,)))[0]

    return add


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process writes the run folder (worker 0, or the only process)."""
    resolver = strategy.cluster_resolver
    # The task is TF_CONFIG's index.
    return resolver is None or not resolver.cluster_spec().as_dict() or resolver.task_id in (None, 0)


def device_line(config: EngineConfig) -> str | None:
    """What computes and how, for people; None on CPUs."""
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return None
    details, precision = tf.config.experimental.get_device_details(gpus[0]), resolve_precision(config.precision)
    # Since Ampere, float32 products have TF32's 10 bits of mantissa, unless told.
    tf32 = (precision == "float32" and details.get("compute_capability", (0, 0)) >= (8, 0)
            and tf.config.experimental.tensor_float_32_execution_enabled()
            and os.environ.get("NVIDIA_TF32_OVERRIDE") != "0")
    many = f"{len(tf.config.list_logical_devices('GPU'))} x " if len(gpus) > 1 else ""
    return (f"computing on {many}{details.get('device_name', 'GPU')} in {precision}"
            + (" (products in TF32; NVIDIA_TF32_OVERRIDE=0 for all bits)" if tf32 else ""))


def resolve_precision(name: str) -> str:
    """A Keras policy name; "auto" is mixed_bfloat16 where the hardware is faster in it, else float32."""
    if name != "auto":
        return name
    return "mixed_bfloat16" if has_bfloat16() else "float32"


def has_bfloat16() -> bool:
    """GPUs of compute capability 8.0 and above; CPUs as in `cpu_has_bfloat16` (by the kernel's list)."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = tf.config.experimental.get_device_details(gpus[0])
        return details.get("compute_capability", (0, 0)) >= (8, 0)  # Ampere and later
    if platform.system() != "Linux":
        return False
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        return cpu_has_bfloat16(info.read())


def cpu_has_bfloat16(cpuinfo: str) -> bool:
    """Whether a processor described as in /proc/cpuinfo computes faster in bfloat16 than in float32.

    With AMX, or AMD's AVX512 units. On Intel's AVX512 units alone bfloat16 was measured slower in every network
    (docs/performance.md). A rule, not a measurement: a continued run must find the same answer.
    """
    lines = [line.partition(":") for line in cpuinfo.splitlines()]
    # Reversed: the first processor's lines win.
    fields = {name.strip(): value.strip() for name, _, value in reversed(lines)}
    flags = set(fields.get("flags", "").split())
    return "amx_bf16" in flags or ("avx512_bf16" in flags and fields.get("vendor_id") == "AuthenticAMD")
