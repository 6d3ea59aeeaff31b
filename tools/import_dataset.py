"""Makes a pair folder of your own images and label maps.

    python -m tools.import_dataset --images=DIR --labels=DIR --classes=background,liver,spleen \\
        --test_fraction=0.3 --size=128 --out=data/mine

Images and label maps are PNG, GIF, TIFF or DICOM files and belong together by name (a.dcm and a.png). A label map
has one channel of class codes, a class's code being its place in --classes; --remap=0:0,255:1 translates others.
Pictures keep their aspect ratio and are padded to a square with black ground; each pixel takes the class that
covers most of it.

If any image is in colour, that is, has channels that differ, all are written in colour and all networks work on
three channels; a grey picture stored as RGB is grey. --channel=grey takes the luminance instead, and red, green or
blue that channel alone (vessels of the eye show best in green). `tools.predict` does the same with new films.
"""

import dataclasses
import pathlib

from absl import app, flags

from datasets.common.errors import UserError, report_user_errors
from datasets.common.output_folders import PAIRS, check_output

_IMAGES = flags.DEFINE_string("images", None, "folder of the images", required=True)
_LABELS = flags.DEFINE_string("labels", None, "folder of the label maps, named like their images", required=True)
_OUT = flags.DEFINE_string("out", None, "pair folder to write", required=True)
_SIZE = flags.DEFINE_integer("size", None, "side of the pairs in pixels", required=True, lower_bound=8,
                             upper_bound=8192)
_CLASSES = flags.DEFINE_list("classes", None, "class names in order of codes, background first")
_CLASSES_JSON = flags.DEFINE_string("classes_json", None, 'or a file: {"names": [...], "scored": [...], '
                                                          '"fold_back": {...}}')
_SCORED = flags.DEFINE_list("scored", [], "the classes that tables score (default: all but the background)")
_REMAP = flags.DEFINE_list("remap", [], "codes found to class codes, e.g. 0:0,255:1; others stay")
_TEST_FRACTION = flags.DEFINE_float("test_fraction", None, "share of the pairs to test on, drawn by --seed",
                                    lower_bound=0.0, upper_bound=1.0)
_TEST_IDS = flags.DEFINE_string("test_ids", None, "or a file with the names of the test pairs, one a line")
_SEED = flags.DEFINE_integer("seed", 0, "of the draw of test pairs", lower_bound=0)
_NAME = flags.DEFINE_string("name", None, "the data set's name in tables (default: the name of --out)")
_MAX_VALUE = flags.DEFINE_integer("max_value", None, "grey value shown as white in images of 16 bits that do "
                                                     "not say (default: the least 2^n - 1 that none exceeds)",
                                  lower_bound=1, upper_bound=65535)
_BITS = flags.DEFINE_enum("bits", "auto", ["auto", "8", "16"], "bits of the images written; auto: 16 if any has "
                                                               "more than 8")
_CHANNEL = flags.DEFINE_enum("channel", "auto", ["auto", "grey", "red", "green", "blue"], "what is taken of "
                             "colour images; auto: all three channels if any image has colour")
_CONTRAST = flags.DEFINE_enum("contrast", "none", ["none", "stretch"], "stretch: each film's 0.5th to 99.5th "
                              "percentile to the whole grey scale; none: films as they are")


def main(argv) -> None:
    from datasets.common.progress import show_progress
    from datasets.pair_store import Description, describe_ids
    from datasets.sources import own_folders

    check_output(_OUT.value, PAIRS, [_IMAGES.value, _LABELS.value, _CLASSES_JSON.value, _TEST_IDS.value])
    classes, remap = _classes(), own_folders.parse_remap(_REMAP.value)
    sources, alone = own_folders.match_files(pathlib.Path(_IMAGES.value), pathlib.Path(_LABELS.value))
    for path in alone:
        print(f"left out: {path} has no partner")
    test = _test_ids([source.id for source in sources])
    found = own_folders.survey(sources, classes, remap, _SIZE.value, show_progress)
    # 16 bits if any image has more than 8
    max_value = 65535 if _BITS.value == "16" or (_BITS.value == "auto" and found.deep) else 255
    name = _NAME.value or pathlib.Path(_OUT.value).resolve().name
    try:
        description = Description(name, (_SIZE.value, _SIZE.value), classes, max_value, found.spacing_mm,
                                  found.channel(_CHANNEL.value))
    except ValueError as error:
        raise UserError(f"--name or --classes: {error}") from None
    white = _MAX_VALUE.value or found.white  # of images that do not say it themselves
    own_folders.import_pairs(sources, _OUT.value, description, test, remap, white, show_progress,
                           _CONTRAST.value == "stretch")
    if about := found.about_channels(_CHANNEL.value):
        print(about)
    if found.white:
        print(f"white: {white} in 16-bit images (--max_value chooses another)")
    print(f"{len(sources)} pairs at {_SIZE.value} x {_SIZE.value} pixels in {_OUT.value}: "
          f"{len(sources) - len(test)} train, {len(test)} test; classes: {describe_ids(classes.names)}")


def _classes():
    """The class table of --classes or --classes_json, with --scored."""
    from datasets.class_table import ClassTable
    from datasets.common import atomic_files

    if (_CLASSES.value is None) == (_CLASSES_JSON.value is None):  # both or neither
        raise UserError("give either --classes=background,liver,... or --classes_json=FILE")
    try:
        if _CLASSES.value is not None:
            return ClassTable(tuple(_CLASSES.value), tuple(_SCORED.value))
        table = ClassTable.from_json(atomic_files.read_json(_CLASSES_JSON.value))
        return dataclasses.replace(table, scored=tuple(_SCORED.value)) if _SCORED.value else table
    except ValueError as error:
        raise UserError(f"--{'classes_json' if _CLASSES.value is None else 'classes'}: {error}") from None


def _test_ids(ids: list[str]) -> set[str]:
    """The pairs to test on."""
    from datasets.sources.own_folders import choose_test, read_test_ids

    if (_TEST_FRACTION.value is None) == (_TEST_IDS.value is None):  # both or neither
        raise UserError("give either --test_fraction=0.3 or --test_ids=FILE; --test_fraction=0 for no test pairs")
    if _TEST_IDS.value is not None:
        return read_test_ids(pathlib.Path(_TEST_IDS.value), ids)
    return choose_test(ids, _TEST_FRACTION.value, _SEED.value)


if __name__ == "__main__":
    app.run(report_user_errors(main))
