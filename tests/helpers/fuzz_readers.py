"""Reads thousands of damaged files and says how that went; a process of its own, since it may be killed.

    python -m tests.helpers.fuzz_readers SEED COUNT FOLDER

Prints JSON: per kind how many were tried, read and refused, every failure, and the peak memory in MiB. A file
on which a reader hangs for a minute ends the process with the stack.
"""

import faulthandler
import gzip
import io
import json
import pathlib
import sys
from collections import Counter
from collections.abc import Callable

import imagecodecs
import nibabel
import nrrd
import numpy as np
import pydicom
from PIL import Image
from pydicom import uid

from datasets.class_table import CHEST, IGNORED
from datasets.common.errors import UserError
from datasets.formats import read as read_module
from datasets.formats import volumes
from datasets.formats.photo import ORIENTATION
from datasets.formats.raster import MAX_SIDE
from datasets.formats.read import read_film, read_mask
from datasets.manifest import Entry
from datasets.pair_store import Description, PairStore, PairWriter
from datasets.sources.own_colours import read_colours
from datasets.sources.own_files import OwnFolder
from datasets.sources.own_splits import read_ids
from datasets.synthetic.synthetic_store import JOURNAL, read_journal
from datasets.verify import verify_store
from tests.helpers import mutations, pictures

HANG_SECONDS = 60
IMG_SIDE = 48
SHAPE = (16, 16)
_RNG = np.random.default_rng(0)
GREY8 = _RNG.integers(0, 256, (21, 34)).astype(np.uint8)
GREY12 = _RNG.integers(0, 4096, (21, 34)).astype(np.uint16)
COLOUR = _RNG.integers(0, 256, (21, 34, 3)).astype(np.uint8)


def originals() -> dict[str, list[bytes]]:
    """Whole image files by kind."""
    return {
        "png": [pictures.png(GREY8), pictures.png(GREY12), pictures.png(COLOUR),
                *(pictures.pillow(*made) for made in ((GREY8 > 99, "PNG"), (GREY8, "PNG", "P"),
                                                      (COLOUR, "PNG", "RGBA")))],
        "gif": [pictures.pillow(GREY8, "GIF"), pictures.pillow(COLOUR, "GIF", "P"),
                pictures.pillow(GREY8 // 64, "GIF")],
        "img": [(_RNG.integers(0, 4096, (IMG_SIDE, IMG_SIDE))).astype(">u2").tobytes()],
        "tif": _tiffs(),
        "dcm": _dicoms(),
        "jpg": [pictures.pillow(GREY8, "JPEG"), pictures.pillow(COLOUR, "JPEG", progressive=True),
                pictures.pillow(GREY8, "JPEG", exif=_turned())],
        "bmp": [pictures.pillow(GREY8, "BMP"), pictures.pillow(COLOUR, "BMP"), pictures.pillow(GREY8 > 99, "BMP"),
                pictures.pillow(GREY8, "BMP", "P")],
        "webp": [pictures.pillow(COLOUR, "WEBP"), pictures.pillow(GREY8, "WEBP", lossless=True),
                 pictures.pillow(COLOUR, "WEBP", "RGBA")],
        "nii": _niftis(),
        "nrrd": _nrrds(),
    }


def _turned() -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    return exif


def _niftis() -> list[bytes]:
    turned = np.diag([-0.3, -0.3, 2.0, 1.0])
    images = [nibabel.Nifti1Image(GREY8.T, turned), nibabel.Nifti1Image(GREY12.T.astype(np.float32), np.eye(4)),
              nibabel.Nifti2Image(GREY12.T[..., None].astype(np.int16), turned[[2, 0, 1, 3]])]
    return [*(image.to_bytes() for image in images), gzip.compress(images[0].to_bytes(), mtime=0)]


def _nrrds() -> list[bytes]:
    made = []
    for values, header in ((GREY8.T, {"encoding": "raw"}), (GREY12.T[..., None], {
            "encoding": "gzip", "space": "left-posterior-superior", "space directions": np.diag([0.2, 0.2, 1.0])}),
            (GREY8.T // 99, {"encoding": "ascii", "spacings": [0.2, 0.2]}), (GREY8.T, {"encoding": "bzip2"})):
        file = io.BytesIO()
        nrrd.write(file, values, header)
        made.append(file.getvalue())
    return made


def _tiffs() -> list[bytes]:
    palette = _RNG.integers(0, 65536, (3, 256)).astype(np.uint16)
    return [pictures.tiff(GREY8), pictures.tiff(GREY12, compression="zlib", predictor=True),
            pictures.tiff(GREY12, compression="lzw"), pictures.tiff(GREY8, compression="packbits"),
            pictures.tiff(GREY8, tile=(16, 16)), pictures.tiff(GREY12, bigtiff=True, byteorder=">"),
            pictures.tiff(GREY8, photometric="miniswhite", rowsperstrip=4),
            pictures.tiff(COLOUR, photometric="rgb"),
            pictures.tiff(GREY8, photometric="palette", colormap=palette),
            pictures.tiff(GREY8 > 99, photometric="minisblack")]


def _dicoms() -> list[bytes]:
    table = pydicom.Dataset()
    table.LUTDescriptor, table.LUTData = [4096, 0, 12], list(range(4096))
    table["LUTDescriptor"].VR = table["LUTData"].VR = "US"
    window = {"WindowCenter": [2048, 9], "WindowWidth": [2048, 9], "RescaleSlope": 1, "RescaleIntercept": -100}
    return [
        pictures.dicom(GREY8), pictures.dicom(GREY12, BitsStored=12, PixelSpacing=[0.2, 0.2], **window),
        pictures.dicom(GREY12, uid.ImplicitVRLittleEndian, BitsStored=12),
        pictures.dicom(GREY12.astype(np.int16) - 2048, BitsStored=12, PhotometricInterpretation="MONOCHROME1"),
        pictures.dicom(GREY12, BitsStored=12, VOILUTSequence=[table]),
        pictures.dicom(GREY12, uid.JPEGLosslessSV1,
                       imagecodecs.jpeg_encode(GREY12, lossless=True, bitspersample=12), BitsStored=12),
        pictures.dicom(GREY8, uid.JPEGBaseline8Bit, imagecodecs.jpeg_encode(GREY8)),
        pictures.dicom(GREY12, uid.JPEGLSLossless, imagecodecs.jpegls_encode(GREY12), BitsStored=12),
        pictures.dicom(GREY12, uid.JPEG2000Lossless,
                       imagecodecs.jpeg2k_encode(GREY12, level=0, codecformat="j2k"), BitsStored=12),
        pictures.dicom(GREY8, uid.RLELossless, _rle(GREY8)),
        pictures.dicom(COLOUR.reshape(len(COLOUR), -1), Columns=COLOUR.shape[1], SamplesPerPixel=3,
                       PhotometricInterpretation="RGB", PlanarConfiguration=1),
        pictures.dicom(GREY12, PixelPaddingValue=7, PixelPaddingRangeLimit=99),
    ]


def _rle(array: np.ndarray) -> bytes:
    """DICOM's RLE (PS3.5 annex G) of uint8 in literal runs."""
    data = array.tobytes() + bytes(array.size % 2)
    runs = b"".join(bytes([len(run) - 1]) + run for run in (data[at:at + 128] for at in range(0, len(data), 128)))
    return np.array([1, 64] + [0] * 14, "<u4").tobytes() + runs + bytes(len(runs) % 2)


def make_store(path: pathlib.Path) -> None:
    """A pair folder of two small pairs with masks, and a journal, to be damaged file by file."""
    with PairWriter(path, Description("fuzzed", SHAPE, CHEST, 255, 1.5)) as writer:
        for number, split in enumerate(("train", "test")):
            masks = _RNG.random((*SHAPE, 5)) < 0.3
            film = GREY8[:16, number:16 + number]
            writer.add(Entry(f"p{number}", split, "here"), film, CHEST.paint(masks), masks)
    journal = {"seed": 0, "count": 2, "validation": 1, "source": "two-stage", "candidates": 4, "accepted": [0, 3],
               "unchecked": 0, "rejected": {"heart missing": 2}}
    (path / JOURNAL).write_text(json.dumps(journal))
    (path / "test_ids.txt").write_text("p0\np1\n")
    (path / "labelmap.txt").write_text("# label:color_rgb:parts:actions\nbackground:0,0,0::\nliver:255,0,9::\n")


def read_image(path: pathlib.Path) -> None:
    """Both readers; a result must be what their docstrings say."""
    refusals = []
    volumes._read_volume.cache_clear()  # mutants of one size come faster than the clock of files goes
    for read in (read_film, read_mask):
        try:
            result = read(path)
        except UserError as error:
            refusals.append(error)
            continue
        pixels = result if read is read_mask else result.pixels
        assert pixels.ndim == 2 or (read is read_film and pixels.shape[2:] == (3,))
        assert min(pixels.shape) >= 1 and max(pixels.shape) <= MAX_SIDE
        assert pixels.dtype == np.uint8 or (read is read_film and pixels.dtype == np.uint16)
        if read is read_film:
            assert 255 <= result.max_value <= 65535 and pixels.max() <= result.max_value
            assert result.spacing_mm is None or 0 < result.spacing_mm < 100
    for error in refusals:
        check_line(str(error), path)
    if len(refusals) == 2:
        raise refusals[0]


def read_store(path: pathlib.Path) -> None:
    """Opens, verifies and reads the whole folder."""
    for finding in verify_store(path):
        check_line(finding.text, path)
    store = PairStore(path)
    assert store.path == path and len(store.fingerprint()) == 64
    for id_ in store.ids():
        image, label, masks = store.image(id_), store.label(id_), store.masks(id_)
        assert image.shape == label.shape == store.scored_label(id_).shape == tuple(store.description.size)
        assert masks is None or masks.shape == (*image.shape, len(store.classes.organs))


def check_line(text: str, path: pathlib.Path) -> None:
    """One printable line, not too long, that names the file."""
    assert path.name in text and text.isprintable() and len(text) < 1200, repr(text[:2000])


def read_list(path: pathlib.Path) -> None:
    """A list of test ids."""
    sources = [OwnFolder(id_, id_, path.with_name(f"{id_}.png"), ()) for id_ in ("p0", "p1")]
    assert read_ids(path, sources) <= {"p0", "p1"}


def read_colour_table(path: pathlib.Path) -> None:
    """A table of colours: codes as many as names, each colour once."""
    colours = read_colours(path)
    assert {code for code in colours.codes.values() if code != IGNORED} == set(range(colours.classes.num_classes))


def read_generation(path: pathlib.Path) -> None:
    """A synthetic set's journal."""
    journal = read_journal(path)
    assert len(journal["accepted"]) <= journal["candidates"]


class Fuzzer:
    """Counts what happens to each mutant."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.tried: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.failures: list[str] = []

    def try_file(self, kind: str, path: pathlib.Path, data: bytes, read: Callable[[pathlib.Path], None],
                 read_path: pathlib.Path) -> None:
        """Writes the mutant and reads it; what is neither a result nor a UserError is kept and listed."""
        path.write_bytes(data)
        self.tried[kind] += 1
        faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
        try:
            read(read_path)
        except UserError as error:
            self.refused[kind] += 1
            try:
                check_line(str(error), path if read is not read_store else self.folder)
            except AssertionError as wrong:
                self._fail(kind, path, data, wrong)
        except (Exception, SystemExit) as error:
            self._fail(kind, path, data, error)
        faulthandler.cancel_dump_traceback_later()

    def _fail(self, kind: str, path: pathlib.Path, data: bytes, error: BaseException) -> None:
        kept = self.folder / f"failed-{len(self.failures)}-{path.name}"
        kept.write_bytes(data)
        self.failures.append(f"{kind}: {kept}: {type(error).__name__}: {error}"[:600])


def _peak_kib() -> int:
    """Peak memory of this program; ru_maxrss would be that of the process it was forked from, if larger."""
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])


def main(seed: int, count: int, folder: pathlib.Path) -> None:
    read_module.IMG_SIDE = IMG_SIDE  # full-size films are 8 MiB each
    rng = np.random.default_rng(seed)
    images, fuzzer, store = originals(), Fuzzer(folder), folder / "store"
    make_store(store)
    whole = {path: path.read_bytes() for path in sorted(store.rglob("*")) if path.is_file()}
    kinds = [*images, "pair", "manifest", "description", "journal", "list", "colours"]
    before = _peak_kib()
    for number in range(count):
        kind = kinds[number % len(kinds)]
        if kind in images:
            data = images[kind][rng.integers(len(images[kind]))]
            mutated = mutations.mutate_png if kind == "png" and rng.random() < 0.7 else mutations.mutate
            path = folder / f"a.{kind}"
            fuzzer.try_file(kind, path, mutated(data, rng), read_image, path)
            continue
        path, mutated, read = _of_store(kind, store, rng)
        fuzzer.try_file(kind, path, mutated(whole[path], rng), read, store if read is read_store else path)
        path.write_bytes(whole[path])
    peak = _peak_kib()
    print(json.dumps({"tried": fuzzer.tried, "refused": fuzzer.refused, "failures": fuzzer.failures,
                      "peak_mib": round(peak / 1024), "grown_mib": round((peak - before) / 1024)}))


def _of_store(kind: str, store: pathlib.Path, rng: np.random.Generator):
    """The file to damage, how, and its reader."""
    plain = rng.random() < 0.4
    if kind == "manifest":
        return store / "manifest.csv", mutations.mutate if plain else mutations.mutate_csv, read_store
    if kind == "description":
        return store / "description.json", mutations.mutate if plain else mutations.mutate_json, read_store
    if kind == "journal":
        return store / JOURNAL, mutations.mutate if plain else mutations.mutate_json, read_generation
    if kind == "colours":
        return store / "labelmap.txt", mutations.mutate, read_colour_table
    if kind == "list":
        return store / "test_ids.txt", mutations.mutate, read_list
    folder = str(rng.choice(["images", "labels", "masks"]))
    return store / folder / "p0.png", mutations.mutate if plain else mutations.mutate_png, read_store


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), pathlib.Path(sys.argv[3]))
