"""What every image reader shares: the film it gives, the bounds it keeps, and how it refuses a file."""

import contextlib
import dataclasses
import os
import pathlib
import stat
import warnings
from collections.abc import Iterator, Sequence

import numpy as np

from datasets.common.errors import UserError

MAX_SIDE = 8192  # pixels; larger headers are refused before decoding
MAX_FILE = 2**28  # bytes; twice the pixels of the largest 16-bit film
_OUTER = 0.01  # share of pixels at either end that may be outliers


@dataclasses.dataclass(frozen=True)
class Film:
    """A film, bright bone on dark ground where it is grey.

    Attributes:
      pixels: uint8 or uint16 [H, W], or RGB [H, W, 3] where the channels differ (`formats.channels` chooses).
      max_value: grey value shown as white: 255, or that of the bits in use (12 bits: 4095).
      spacing_mm: side of a pixel in millimetres, None where the file does not say.
      exact: whether `max_value` follows from the file; a 16-bit PNG may hold 12-bit films.
      alpha: whether the file holds transparency, which is dropped.
      turned: whether `pixels` are not as stored, since the file says how a camera was held.
    """

    pixels: np.ndarray
    max_value: int
    spacing_mm: float | None = None
    exact: bool = True
    alpha: bool = False
    turned: bool = False

    @property
    def coloured(self) -> bool:
        """Whether `pixels` are RGB."""
        return self.pixels.ndim == 3

    def negative(self) -> "Film":
        """The film with black and white exchanged; white is then exact."""
        white = self.max_value if self.exact else white_above(int(self.pixels.max()))
        pixels = (white - self.pixels.astype(np.int32)).astype(self.pixels.dtype)
        return dataclasses.replace(self, pixels=pixels, max_value=white, exact=True)


@dataclasses.dataclass(frozen=True)
class Raster:
    """The samples of an image file as they are stored.

    Attributes:
      values: uint8 or uint16 [H, W] or [H, W, 3]; palette indices where there is a palette.
      max_value: the largest value that the file's bits can hold.
      palette: uint8 [colours, 3] or None.
      inverted: low values are bright.
      alpha: the file holds transparency, too, which is dropped.
      orientation: how the samples must be turned, from 1 (not at all) to 8, as TIFF and EXIF number it.
      lossy: the samples are not those that were saved.
      opacity: the channel of transparency, 0 where nothing is to be seen, as `values` [H, W]; None without.
    """

    values: np.ndarray
    max_value: int
    palette: np.ndarray | None = None
    inverted: bool = False
    alpha: bool = False
    orientation: int = 1
    lossy: bool = False
    opacity: np.ndarray | None = None

    def upright(self) -> "Raster":
        """The samples turned as `orientation` says."""
        rows = -1 if self.orientation in (3, 4, 7, 8) else 1
        columns = -1 if self.orientation in (2, 3, 6, 7) else 1
        turned = [array if array is None else np.ascontiguousarray(
            (array.swapaxes(0, 1) if self.orientation >= 5 else array)[::rows, ::columns])
            for array in (self.values, self.opacity)]
        return dataclasses.replace(self, values=turned[0], opacity=turned[1])

    def without_hidden(self) -> "Raster":
        """With 0 where a channel of transparency hides what is below; the channel itself where all below is 0.

        Editors save masks on layers so: one colour everywhere, and the shape in the transparency.
        """
        if self.opacity is None or (self.opacity == self.opacity.flat[0]).all():
            return self
        seen = self.opacity > self.opacity.max() // 2
        values = self.values * (seen if self.values.ndim == 2 else seen[..., None])
        return dataclasses.replace(self, values=values if values.any() else seen * self.opacity.max())


def white_above(brightest: int) -> int:
    """White of a film that does not say: the least 2^n - 1, n at least 8, that no pixel exceeds."""
    return 2 ** max(8, brightest.bit_length()) - 1


def quantiles(values: np.ndarray, counts: np.ndarray, shares: Sequence[float]) -> list[float]:
    """The values below which `shares` of the pixels lie; value i is that of counts[i] pixels."""
    order = np.argsort(values, kind="stable")
    order = order[counts[order] > 0]
    below = np.cumsum(counts[order])
    places = np.searchsorted(below, np.asarray(shares) * below[-1])
    return [float(values[order[min(place, len(order) - 1)]]) for place in places]


def shown_range(values: np.ndarray, counts: np.ndarray, outer: float = _OUTER) -> tuple[float, float]:
    """Black and white of a film that does not say them: its least and largest value.

    Where 1 % of the pixels (`outer`) at either end take more than half of that range, such as dead pixels or the
    text of a marker, the others decide.
    """
    return _without_outliers(*quantiles(values, counts, (0.0, outer, 1.0 - outer, 1.0)))


def range_of(values: np.ndarray) -> tuple[float, float]:
    """`shown_range` of an array of any number type, of what is finite in it; (0, 0) if nothing is."""
    sample = values.ravel(order="K")
    sample = sample[np.isfinite(sample)] if values.dtype.kind == "f" else sample
    if not sample.size:
        return 0.0, 0.0
    inner = np.percentile(sample[::max(1, sample.size // 2**22)], (100 * _OUTER, 100 * (1.0 - _OUTER)))
    return _without_outliers(float(sample.min()), *map(float, inner), float(sample.max()))


def _without_outliers(low: float, inner_low: float, inner_high: float, high: float) -> tuple[float, float]:
    return (inner_low, inner_high) if 0.0 < inner_high - inner_low < 0.5 * (high - low) else (low, high)


def read_bytes(path: str | os.PathLike, limit: int = MAX_FILE) -> bytes:
    """Content of a regular file of at most `limit` bytes. Raises UserError for anything else."""
    path = pathlib.Path(path)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UserError(f"{path}: not a regular file")
        if status.st_size > limit:
            raise UserError(f"{path}: found {status.st_size:,} bytes, expected at most {limit:,}")
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:  # a path with a null byte
        raise UserError(f"{str(path)!r}: cannot be read ({error})") from None


def check_sides(path: pathlib.Path, height: int, width: int) -> None:
    """Raises UserError unless both sides are of 1 to MAX_SIDE pixels."""
    if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE):
        raise UserError(f"{path}: found {width} x {height} pixels, expected sides of 1 to {MAX_SIDE}")


@contextlib.contextmanager
def decoding(path: pathlib.Path, kind: str) -> Iterator[None]:
    """Around a decoder: its warnings are dropped, and whatever damage makes it raise becomes a UserError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except UserError:
            raise
        except Exception as error:  # decoders raise whatever the bytes lead to
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            reason = reason.encode("unicode_escape").decode()[:160]
            raise UserError(f"{path}: truncated or damaged {kind} ({reason}); copy it again") from None
