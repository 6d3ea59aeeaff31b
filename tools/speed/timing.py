"""How a row of `tools.benchmark` is timed, whichever library does the work."""

import dataclasses
import gc
import statistics
import time
from collections.abc import Callable
from typing import Any

MOST_CALLS = 10  # of a turn, on a device that runs behind the host
MOST_TURNS = 50


@dataclasses.dataclass(frozen=True)
class Work:
    """What is repeated.

    Attributes:
      step: does it once; may return before the device has done it.
      flops: floating-point operations of one step by count, called after the timing; None where not counted.
      at_once: steps that a call of `step` does.
    """

    step: Callable[[], Any]
    flops: Callable[[], float] | None = None
    at_once: int = 1


@dataclasses.dataclass(frozen=True)
class Device:
    """Where it is done.

    Attributes:
      name: of the processor, for the row.
      behind: whether it runs behind the host (a GPU), so that a turn is several steps and one wait.
      wait: returns once all is done.
      reset_peak: begins to watch memory anew, where that can be done.
      peak: the largest memory since, in bytes.
      product: () -> (step, operations) of a product of large square matrices in the format that is measured.
    """

    name: str
    behind: bool
    wait: Callable[[], None]
    reset_peak: Callable[[], None]
    peak: Callable[[], int]
    product: Callable[[], tuple[Callable[[], Any], float]]


def measure(work: Work, device: Device, seconds: float) -> dict[str, Any]:
    """Times `work`: two calls to warm up, then 3 to 50 turns, until `seconds` have passed.

    A turn is one call; on a device that runs behind the host it is up to ten, enqueued one after another with one
    wait at the end, so that the time is the device's and not that of the host's waits.

    Returns median and spread (between quartiles) of the seconds of a step, first (the first call: tracing and
    all), turns, steps (of each turn), peak_gib, device, flops (of a step, or None), and limit (operations a second
    in a product of matrices, measured once).
    """
    first = _timed(work.step, 1, device.wait)  # traces
    second = _timed(work.step, 1, device.wait)  # settles memory
    calls = max(1, min(MOST_CALLS, int(seconds / 4 / second))) if device.behind else 1  # four turns at least
    gc.collect()
    device.reset_peak()
    times: list[float] = []
    while len(times) < 3 or (sum(times) < seconds and len(times) < MOST_TURNS):
        times.append(_timed(work.step, calls, device.wait))
    peak = device.peak()
    steps = calls * work.at_once
    low, median, high = (time / steps for time in statistics.quantiles(times, n=4))
    return {"median": median, "spread": high - low, "first": first, "turns": len(times), "steps": steps,
            "peak_gib": peak / 2**30, "device": device.name, "flops": work.flops() if work.flops else None,
            "limit": _limit(device)}


def _limit(device: Device) -> float:
    product, operations = device.product()
    _timed(product, 1, device.wait)
    return operations / min(_timed(product, 5, device.wait) / 5 for _ in range(3))


def _timed(step: Callable[[], Any], steps: int, wait: Callable[[], None]) -> float:
    start = time.perf_counter()
    for _ in range(steps):
        step()
    wait()
    return time.perf_counter() - start
