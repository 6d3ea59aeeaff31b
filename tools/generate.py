"""Writes a synthetic pair folder with a trained method.

    python -m tools.generate --method=three --dots=RUN --dots_to_labels=RUN --labels_to_film=RUN \\
        --data=STORE --count=10000 --validation=2500 --out=SYNTHETIC

--data names the pair folder whose classes the networks were trained on. What label maps are like (which classes
come and how often, in how many pieces, how large) is learnt from its train pairs; candidates that are unlike are
counted and left out. --dots and --dots_to_labels must be runs of the same dots (size, radius, and which classes
have how many), and no translator one of --phase=global_half. As many pairs are made at a time as memory allows
(on a CPU one of 1024 pixels, at most 16; --batch says otherwise, and out of memory it is halved); meanwhile those
before them are mended and written. The same command continues a run that was stopped. Two methods are not the
paper's: --method=shape has a statistical shape model fitted to those label maps in place of the stages before
--labels_to_film, and --method=warp the maps themselves, deformed.

OUT/copies.csv tells of each pair how near it comes to its nearest training film, and whether it is flagged as a
copy of it (docs/sharing.md). Nearness is judged by the train films of --held_out that are not in --data.

--shard=3/8 makes the third of eight parts in --out, on any machine, with else the same options; the same command
with --join=PART1,...,PART8 in its place makes the set of them, which is the one that a single command makes. If
one of them is given --batch, all are.
"""

import pathlib
import sys

if not __package__:  # started by its path, from any folder
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from absl import app, flags

from datasets.common.errors import UserError, report_user_errors
from datasets.common.output_folders import PAIRS, SHARD, check_output
from datasets.synthetic.synthetic_shards import Shard
from tools.generation.flags import define_method_flags
from tools.generation.stages import STAGES

_METHOD, _RUNS = define_method_flags(tuple(STAGES), required=True)
_DATA = flags.DEFINE_string("data", None, "pair folder the networks were trained on", required=True)
_OUT = flags.DEFINE_string("out", None, "pair folder to write", required=True)
_COUNT = flags.DEFINE_integer("count", 10000, "pairs in all (paper: 10,000)", lower_bound=1)
_VALIDATION = flags.DEFINE_integer("validation", None, "how many of them validate (default: a quarter, as in the "
                                   "paper)", lower_bound=0)
_SEED = flags.DEFINE_integer("seed", 0, "sample i is a function of this seed and i", lower_bound=0,
                             upper_bound=2**63 - 1)
_SNAPSHOT = flags.DEFINE_integer("snapshot", None, "position of the first stage's snapshot to use (see its grids)")
_HELD_OUT = flags.DEFINE_string("held_out", None, "pair folder with train films that the networks did not see, as "
                                "RUN/data/held-out (default: the films of --data, each against the others)")
_SHARD = flags.DEFINE_string("shard", None, "make this part of the set alone, as 3/8")
_JOIN = flags.DEFINE_list("join", [], "folders of all parts made with --shard, to be joined")
_BATCH = flags.DEFINE_integer("batch", None, "pairs made at a time (default: by the device's memory)",
                              lower_bound=1)
_WORKERS = flags.DEFINE_integer("workers", None, "processes that mend label maps (default: on a GPU one less than "
                                "the cores, at most 8; else none)", lower_bound=0)
_CHECK = flags.DEFINE_bool("check", True, "mend label maps, reject those unlike real ones, and keep the shares of "
                           "classes that come and go; --nocheck keeps every sample as it is, as the paper does")
_SMOOTH = flags.DEFINE_bool("smooth_labels", False, "dots become label maps by several looks at them, moved by a "
                            "few pixels, of which the mean decides (ours)")
_EXPOSE = flags.DEFINE_float("expose", 0.0, "share of the films whose exposure is changed (ours)", lower_bound=0,
                             upper_bound=1)


def main(argv) -> None:
    # The paper's 2,500 of 10,000.
    validation = _COUNT.value // 4 if _VALIDATION.value is None else _VALIDATION.value
    if validation > _COUNT.value:
        raise UserError(f"--validation={validation} is more than --count={_COUNT.value}")

    shard = None if _SHARD.value is None else Shard.parse(_SHARD.value)
    if shard and _JOIN.value:
        raise UserError(f"found --shard={_SHARD.value} and --join={','.join(_JOIN.value)}; leave one out")
    runs = {stage: flag.value for stage, flag in _RUNS.items()}
    check_output(_OUT.value, SHARD if shard else PAIRS,
                 [_DATA.value, _HELD_OUT.value, *runs.values(), *_JOIN.value])
    # After the flags are checked: these start TensorFlow.
    from datasets.pair_store import PairStore
    from evaluation.synthetic.marked_copies import mark_copies
    from tools.generation.method_from_runs import Assembly
    from tools.version import code_version

    snapshots = {STAGES[_METHOD.value][0]: _SNAPSHOT.value}  # a sampler's: the first stage has snapshots
    held_out = PairStore(_HELD_OUT.value) if _HELD_OUT.value is not None else None
    assembly = Assembly(_METHOD.value, runs, PairStore(_DATA.value), snapshots, _SMOOTH.value, _EXPOSE.value)
    if shard:
        assembly.write_shard(_OUT.value, shard, _COUNT.value, _SEED.value, _CHECK.value, batch=_BATCH.value,
                             workers=_WORKERS.value)
    else:
        assembly.write(_OUT.value, _COUNT.value, validation, _SEED.value, _CHECK.value, shards=_JOIN.value,
                       batch=_BATCH.value, workers=_WORKERS.value)
        mark_copies(PairStore(_OUT.value), assembly.store, version=code_version(), held_out=held_out)


if __name__ == "__main__":
    app.run(report_user_errors(main))
