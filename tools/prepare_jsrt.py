"""Makes a pair folder of the JSRT films and their SCR masks.

    python -m tools.prepare_jsrt --jsrt_dir=All247images --scr_dir=scratch --out=data/jsrt-128 --size=128

The official folds are the splits: odd numbers train, even numbers test. Goes on with the films that are there and
says which are missing; run it again when they have come.
"""

import functools
import pathlib
import sys

if not __package__:  # started by its path, from any folder
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from absl import app, flags

from datasets.common.errors import report_user_errors
from datasets.common.output_folders import PAIRS, check_output

_JSRT = flags.DEFINE_string("jsrt_dir", None, "folder of the films: All247images with .IMG or .png", required=True)
_SCR = flags.DEFINE_string("scr_dir", None, "folder of the SCR masks: scratch", required=True)
_OUT = flags.DEFINE_string("out", None, "pair folder to write", required=True)
_SIZE = flags.DEFINE_integer("size", None, "side of the pairs in pixels (paper: 1024)", required=True,
                             lower_bound=8, upper_bound=2048)
_OBSERVER2 = flags.DEFINE_string("observer2", None, "folder of the second observer's masks, if you have them, for "
                               "OUT/observer2 (evaluation.evaluate_segmentation --predictions=OUT/observer2 "
                               "--codes=scored scores them as any segmenter's)")
_BITS = flags.DEFINE_enum("bits", "auto", ["auto", "8", "16"], "bits of the films written; auto: 16 (white 4095) "
                                                               "if there is any .IMG, else 8")
_CONTRAST = flags.DEFINE_enum("contrast", "stretch", ["stretch", "none"], "stretch: each film's 0.5th to 99.5th "
                              "percentile to the whole grey scale; none: films as they are")


def main(argv) -> None:
    from datasets.common.progress import show_progress
    from datasets.pair_store import describe_ids
    from datasets.sources import jsrt

    check_output(_OUT.value, PAIRS, [_JSRT.value, _SCR.value, _OBSERVER2.value])
    bits = None if _BITS.value == "auto" else int(_BITS.value)
    result = jsrt.prepare(_JSRT.value, _SCR.value, _OUT.value, _SIZE.value, _OBSERVER2.value, bits,
                          _CONTRAST.value == "stretch", functools.partial(show_progress, "films"))
    for id_, organs in result.without_masks.items():
        print(f"left out: {id_} has no mask of {', '.join(organs)}")
    if result.missing:
        print(f"not there: {len(result.missing)} films: {describe_ids(result.missing)}")
    for split, fold in (("train", "fold 1, odd numbers"), ("test", "fold 2, even numbers")):
        written, official = (sum(jsrt.split_of(id_) == split for id_ in ids) for ids in (result.written, jsrt.IDS))
        print(f"{split}: {written} of {official} films ({fold})")
    if _OBSERVER2.value is not None:
        print(f"second observer: {len(result.observed)} films")
    size = f"{_SIZE.value} x {_SIZE.value}"
    print(f"{len(result.written)} of {len(jsrt.IDS)} films at {size} pixels in {_OUT.value}")


if __name__ == "__main__":
    app.run(report_user_errors(main))
