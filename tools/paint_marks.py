r"""Paints over name boxes and text that are burnt into the films of a pair folder, or leaves such films out.

    python -m tools.paint_marks --data=data/jsrt-128 --out=data/jsrt-128-painted
    python -m tools.paint_marks --data=data/mine --out=data/mine-clean --leave_out

Writes --out as a new pair folder of the same pairs, to train on. Marks are flat black or white rectangles, and
lines of three or more letters; they are filled from around, label maps stay. What is found is counted and named;
it is found by its looks and nothing is read, so look at the films. evaluation.evaluate_copy_check measures how
much is found.
"""

import pathlib
import sys

if not __package__:  # started by its path, from any folder
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from absl import app, flags

from datasets.common.errors import report_user_errors
from datasets.common.output_folders import PAIRS, check_output

_DATA = flags.DEFINE_string("data", None, "pair folder", required=True)
_OUT = flags.DEFINE_string("out", None, "new pair folder to write", required=True)
_LEAVE_OUT = flags.DEFINE_bool("leave_out", False, "leave films with marks out, and paint nothing")


def main(argv) -> None:
    del argv
    check_output(_OUT.value, PAIRS, [_DATA.value])
    from datasets.burnt_in import paint_over
    from datasets.common import atomic_files
    from datasets.common.errors import UserError
    from datasets.common.progress import show_progress
    from datasets.pair_store import PairStore, PairWriter, describe_ids, read_png
    from datasets.subsets import refuse_existing

    refuse_existing(_OUT.value)
    store, found, places = PairStore(_DATA.value), [], 0
    path = pathlib.Path(_OUT.value)
    with atomic_files.replacing_folder(path) as folder, PairWriter(folder, store.description) as writer:
        for done, entry in enumerate(store.entries):
            show_progress("films", done, len(store.entries))
            file = store.path / "images" / f"{entry.id}.png"
            painted, count = paint_over(read_png(file, store.description.size, store.description.channels))
            places += count
            found += [entry.id] if count else []
            if not (count and _LEAVE_OUT.value):
                writer.add(entry, painted, store.label(entry.id), store.masks(entry.id))
        show_progress("films", len(store.entries), len(store.entries))
        if not writer.entries:
            raise UserError(f"{store.path}: every film has a mark, and none would be left; paint them over, "
                            "without --leave_out")
    what = "left out" if _LEAVE_OUT.value else "painted over"
    print(f"{len(found)} of {len(store.entries)} films had marks, at {places} places, and were {what}"
          + (f": {describe_ids(found)}" if found else ""))


if __name__ == "__main__":
    app.run(report_user_errors(main))
