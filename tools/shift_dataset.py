"""Writes the pairs of a folder as another hospital may have made them: squeezed, framed, of other exposure.

    python -m tools.shift_dataset --data=runs/jsrt-tiny/data/held-out --out=data/shifted
    python -m evaluation.evaluate_segmentation --model=runs/jsrt-tiny/real+augment \
        --external=data/shifted,Shifted --out=scores

For who has no films of elsewhere, and to choose by without looking at those one has: an experiment's data/held-out
are the train films that it left over. Label maps move with their films. What is changed, and by how much, is in
datasets/augmentation/domain_shift.py and in the folder's complete.json; a pair is a function of (--seed, its id).
"""

import pathlib
import sys

if not __package__:  # started by its path, from any folder
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from absl import app, flags

from datasets.common.errors import UserError, report_user_errors
from datasets.common.output_folders import PAIRS, check_output
from datasets.manifest import SPLITS

_DATA = flags.DEFINE_string("data", None, "pair folder to read", required=True)
_SPLIT = flags.DEFINE_enum("split", "all", [*SPLITS, "all"], "which of its pairs, without augmented copies")
_OUT = flags.DEFINE_string("out", None, "pair folder to write", required=True)
_SEED = flags.DEFINE_integer("seed", 0, "of every random draw", lower_bound=0)


def main(argv) -> None:
    from datasets.augmentation.domain_shift import shift_store
    from datasets.pair_store import PairStore
    from datasets.verify import summarize

    check_output(_OUT.value, PAIRS, [_DATA.value])
    store = PairStore(_DATA.value)
    asked = SPLITS if _SPLIT.value == "all" else (_SPLIT.value,)
    ids = [id_ for split in asked for id_ in store.films(split)]
    if not ids:
        raise UserError(f"{store.path}/manifest.csv: found no film of split {_SPLIT.value}; choose another "
                        "--split")
    copies = sum(entry.is_copy and entry.split in asked for entry in store.entries)
    if copies:
        print(f"left out: {copies} augmented copies")
    print(f"{summarize(shift_store(store, ids, pathlib.Path(_OUT.value), _SEED.value))}\nin {_OUT.value}")


if __name__ == "__main__":
    app.run(report_user_errors(main))
