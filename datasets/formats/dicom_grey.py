"""From the words of a DICOM frame to grey values: padding, stored values, modality LUT, window or VOI LUT.

As the standard says (PS3.3 C.7.5.1.1.2, C.7.6.3, C.11.1, C.11.2), where what a header says is possible and fits
the pixels; a header that does not is not believed, and the grey scale then runs from the least to the largest of
the values that are there. Bone comes out bright, padding black.

Tables over all words of 8 or 16 bits do the work: they are smaller than a film.
"""

import contextlib
from collections.abc import Iterator

import cv2
import numpy as np
import pydicom
from pydicom.pixels import apply_windowing

from datasets.formats.raster import quantiles, shown_range

_LEAST_INSIDE = 0.1  # share of the pixels that a believable window leaves unclipped
_LEAST_SPAN = 1 / 3  # of the grey scale that a believable window uses
_SMOOTHER = 0.85  # roughness that makes other bits than those of the header believable, as a share of theirs
_FILLED = 0.9  # share of the stored bits' range that the pixels take where that range is the grey scale
_FAR = 0.05  # distance of padding from all other values, as a share of their range, at which it is so anywhere
_ALONE = 0.5  # the same, as a share of the whole range, at which a value at the edge is padding without a name
_LEVELS = 16  # distinct values that a film has at least beside unnamed padding
_HOT = 0.001  # share of an 8-bit film's pixels that may be outliers at either end
_NO_LUT = (AttributeError, IndexError, TypeError, ValueError)  # of a LUT whose elements are missing or odd


def numbers(dataset: pydicom.Dataset, name: str) -> list[float]:
    """The finite numbers of an element; [] where it is missing, empty or holds something else."""
    try:
        value = dataset.get(name)
        values = [] if value is None or isinstance(value, str) else [float(part) for part in np.atleast_1d(value)]
        return values if np.isfinite(values).all() else []
    except (TypeError, ValueError, OverflowError):  # pydicom converts an element when it is first read
        return []


def whole(dataset: pydicom.Dataset, name: str, default: int) -> int:
    """An element's first number; `default` where it has none."""
    return int((numbers(dataset, name) or [default])[0])


def stored_values(words: np.ndarray, dataset: pydicom.Dataset, used: np.ndarray) -> tuple[np.ndarray, int]:
    """Table int32 [2^bits allocated] of the value that each word stands for, and the bits that those take.

    Bits above BitsStored are dropped (overlays were kept there) unless the picture is smoother with them: then the
    header says too few. A HighBit above holds where the bits below are empty.

    Args:
      words: uint8 or uint16 [H, W].
      used: bool [H, W], the pixels that are no padding.
    """
    allocated = 8 * words.dtype.itemsize
    bits = whole(dataset, "BitsStored", allocated)
    bits = bits if 1 <= bits <= allocated else allocated
    shift = min(max(0, whole(dataset, "HighBit", bits - 1) - bits + 1), allocated - bits)
    shift = shift if not (np.bitwise_or.reduce(words[used]) & (2**shift - 1)) else 0
    signed = whole(dataset, "PixelRepresentation", 0) == 1
    every = np.arange(2**allocated, dtype=np.int32)
    low, full = _with_sign(every >> shift & (2**bits - 1), bits, signed), _with_sign(every, allocated, signed)
    if bits == allocated:
        return _with_likely_sign(words, full, used), bits
    if (full[words] == low[words]).all() or shift:
        return low, bits
    if _roughness(full[words], used) < _SMOOTHER * _roughness(low[words], used):
        return full, allocated
    return low, bits


def find_padding(words: np.ndarray, dataset: pydicom.Dataset) -> np.ndarray:
    """Bool [H, W]: pixels outside the picture, by PixelPaddingValue and PixelPaddingRangeLimit (C.7.5.1.1.2).

    A value that lies among those of the picture is padding where it reaches the edge alone. A value that no header
    names is padding there too if nothing else is near it.
    """
    allocated, signed = 8 * words.dtype.itemsize, whole(dataset, "PixelRepresentation", 0) == 1
    every = np.arange(2**allocated, dtype=np.int32)
    full = _with_sign(every, allocated, signed)
    bits = min(max(1, whole(dataset, "BitsStored", allocated)), allocated)
    low = _with_sign(every & (2**bits - 1), bits, signed)
    present = np.bincount(words.ravel(), minlength=2**allocated) > 0
    named = numbers(dataset, "PixelPaddingValue")[:1]
    if not named:
        return _unnamed_padding(words, full, present)
    ends = [full[int(value) % 2**allocated] for value in named + numbers(dataset, "PixelPaddingRangeLimit")[:1]]
    table = ((full >= min(ends)) & (full <= max(ends))) | ((low >= min(ends)) & (low <= max(ends)))
    padding, others = full[table & present], full[~table & present]
    if not len(padding) or not len(others):
        return np.zeros(words.shape, bool)
    gap = max(int(padding.min()) - int(others.max()), int(others.min()) - int(padding.max()))
    mask = table[words]
    return mask if gap > max(1, _FAR * (int(others.max()) - int(others.min()))) else _at_the_edge(mask)


def display_table(counts: np.ndarray, stored: np.ndarray, dataset: pydicom.Dataset) -> np.ndarray:
    """Share of white of each word, float64 in [0, 1], before MONOCHROME1 is inverted.

    The first VOI LUT or window that is possible and fits the pixels decides; else the range of the stored bits, if
    the pixels fill it; else their own.

    Args:
      counts: pixels with each word, without padding.
      stored: from `stored_values`.
    """
    values = _modality(stored.astype(np.float64), dataset)
    for shown in _views(values, dataset):
        if _believable(shown, counts):
            return np.clip(shown, 0.0, 1.0)
    # films of 8 bits are made to be looked at: few pixels only are believed to be no part of them
    least, largest = shown_range(values, counts, *([_HOT] if len(counts) == 256 else []))
    low, high = float(values.min()), float(values.max())
    if largest - least < _FILLED * (high - low):
        low, high = least, largest
    return np.clip((values - low) / max(high - low, 1e-9), 0.0, 1.0)


def _with_sign(values: np.ndarray, bits: int, signed: bool) -> np.ndarray:
    return np.where(values >= 2 ** (bits - 1), values - 2**bits, values) if signed else values


def _with_likely_sign(words: np.ndarray, full: np.ndarray, used: np.ndarray) -> np.ndarray:
    """16-bit values have the other sign where both ends of the scale are in use and its middle half is not."""
    found = np.unique(full[words[used]])
    middle = (full.min() + full.max() + 1) / 2
    distance = np.abs(found - middle)
    if words.dtype == np.uint8 or len(found) < _LEVELS or distance.min() < 2**14:
        return full
    if found[0] > middle or found[-1] < middle:
        return full
    return _with_sign(np.arange(2**16, dtype=np.int32), 16, full.min() == 0)


def _roughness(values: np.ndarray, used: np.ndarray) -> float:
    """Mean step between neighbours in a row, in standard deviations; a wrong number of bits makes steps."""
    pairs = used[:, 1:] & used[:, :-1]
    if not pairs.any():
        return 0.0
    return float(np.abs(np.diff(values, axis=1))[pairs].mean() / max(values[used].std(), 1e-9))


def _unnamed_padding(words: np.ndarray, full: np.ndarray, present: np.ndarray) -> np.ndarray:
    found = np.sort(full[present]).astype(np.int64)
    mask = np.zeros(words.shape, bool)
    if len(found) <= _LEVELS:
        return mask
    reach = _ALONE * (found[-1] - found[0])
    for extreme, next_one in ((found[0], found[1]), (found[-1], found[-2])):
        if abs(extreme - next_one) > reach:
            mask |= full[words] == extreme
    return _at_the_edge(mask)


def _at_the_edge(mask: np.ndarray) -> np.ndarray:
    """The connected pieces of a mask that touch an edge of the picture."""
    _, pieces = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    edges = np.concatenate([pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]])
    return np.isin(pieces, edges[edges > 0])


def _modality(values: np.ndarray, dataset: pydicom.Dataset) -> np.ndarray:
    """Stored values to those that windows speak of; a slope of 0 is none, nor is a LUT without entries."""
    for item in dataset.get("ModalityLUTSequence") or ():
        with contextlib.suppress(*_NO_LUT):
            shown = _look_up(item, values)
            if np.ptp(shown) > 0:
                return shown
    slope, intercept = ((numbers(dataset, name) or [default])[0]
                        for name, default in (("RescaleSlope", 1.0), ("RescaleIntercept", 0.0)))
    return values * (slope or 1.0) + intercept


def _look_up(item: pydicom.Dataset, values: np.ndarray) -> np.ndarray:
    """Entries of a LUT, float64 as `values`; those outside take the first or the last (C.11.1.1.1)."""
    count, first, bits = (int(number) for number in item.LUTDescriptor)
    data = item.LUTData
    entries = np.frombuffer(data, "<u2") if isinstance(data, bytes) else np.atleast_1d(data).astype(np.uint16)
    count = count or 2**16
    # two entries of 8 bits in a word, also where the descriptor says more bits
    if len(entries) == (count + 1) // 2 or (bits <= 8 and len(entries) < count // 2):
        entries = entries.astype("<u2").view(np.uint8)
    entries = entries[:count].astype(np.float64)
    if first >= 2**15 and values.min() < 0:  # a negative one, read without its sign
        first -= 2**16
    return entries[np.clip(np.rint(values) - first, 0, len(entries) - 1).astype(np.int64)]


def _views(values: np.ndarray, dataset: pydicom.Dataset) -> Iterator[np.ndarray]:
    """What each VOI LUT, then each window, makes of the values: 0 is black and 1 is white."""
    for item in dataset.get("VOILUTSequence") or ():
        try:
            entries = _look_up(item, values)
        except _NO_LUT:
            continue
        # the bits that the entries take, whatever the descriptor says
        yield entries / (2 ** max(1, int(entries.max()).bit_length()) - 1)
    function = str(dataset.get("VOILUTFunction") or "LINEAR").upper()
    function = function if function in ("LINEAR_EXACT", "SIGMOID") else "LINEAR"
    for centre, width in zip(numbers(dataset, "WindowCenter"), numbers(dataset, "WindowWidth"), strict=False):
        if width < (1.0 if function == "LINEAR" else 1e-6):
            continue
        window = pydicom.Dataset()
        window.WindowCenter, window.WindowWidth, window.VOILUTFunction = centre, width, function
        window.PhotometricInterpretation, window.PixelRepresentation = "MONOCHROME2", 0
        window.BitsStored = 1  # pydicom's white is the largest stored value: 1
        yield apply_windowing(values, window)


def _believable(shown: np.ndarray, counts: np.ndarray) -> bool:
    """Whether a view shows the pixels: not nearly all black or white, nor all of one grey."""
    if not np.isfinite(shown).all():
        return False
    inside = counts[(shown > 0.0) & (shown < 1.0)].sum()
    low, high = quantiles(np.clip(shown, 0.0, 1.0), counts, (0.01, 0.99))
    return inside >= _LEAST_INSIDE * counts.sum() and high - low >= _LEAST_SPAN
