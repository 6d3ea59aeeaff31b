"""Makes a pair folder of procedural pictures with their label maps: chest films, or another kind.

    python -m tools.make_phantoms --count=186 --test_fraction=0.33 --size=128 --out=data/phantoms
    python -m tools.make_phantoms --kind=cells --count=40 --out=data/cells

Kinds: chest (organs that are always there), disc_cup (a class inside another), cells (many pieces of one class),
vessels (thin branching lines), abdomen (organs in pairs or absent). Picture i is a function of (--seed, i) alone,
whatever the size. The last ones are the test pairs.
"""

import pathlib
import sys

if not __package__:  # started by its path, from any folder
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from absl import app, flags

from datasets.common.errors import UserError, report_user_errors
from datasets.common.output_folders import PAIRS, check_output
from datasets.sources.phantom import KINDS

_OUT = flags.DEFINE_string("out", None, "pair folder to write", required=True)
_KIND = flags.DEFINE_enum("kind", "chest", list(KINDS), "what the pictures show")
_COUNT = flags.DEFINE_integer("count", None, "films in all", required=True, lower_bound=1)
_SIZE = flags.DEFINE_integer("size", 128, "side of the pairs in pixels", lower_bound=32, upper_bound=1024)
_TEST_COUNT = flags.DEFINE_integer("test_count", None, "how many of them test", lower_bound=0)
_TEST_FRACTION = flags.DEFINE_float("test_fraction", None, "or which share (default: a third)", lower_bound=0.0,
                                    upper_bound=1.0)
flags.register_validator("test_fraction", lambda share: share is None or share >= 0.0, "expected a number")
_SEED = flags.DEFINE_integer("seed", 0, "of every random draw", lower_bound=0)


def main(argv) -> None:
    from datasets.sources.phantom import write_phantoms
    from datasets.verify import summarize

    tests = _tests()
    check_output(_OUT.value, PAIRS)
    store = write_phantoms(_OUT.value, _COUNT.value, tests, _SIZE.value, _SEED.value, _KIND.value)
    print(f"{summarize(store)}\nin {_OUT.value}")


def _tests() -> int:
    """How many films test."""
    if _TEST_COUNT.value is None:
        return round((1 / 3 if _TEST_FRACTION.value is None else _TEST_FRACTION.value) * _COUNT.value)
    if _TEST_FRACTION.value is not None:
        raise UserError("give either --test_count or --test_fraction")
    if _TEST_COUNT.value > _COUNT.value:
        raise UserError(f"--test_count={_TEST_COUNT.value} is more than --count={_COUNT.value}")
    return _TEST_COUNT.value


if __name__ == "__main__":
    app.run(report_user_errors(main))
