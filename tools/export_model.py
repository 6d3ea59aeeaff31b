"""Exports a trained segmenter, or a whole method, as a TensorFlow SavedModel that needs nothing of this project.

    python -m tools.export_model --run=RUN --out=exports/segmenter
    python -m tools.export_model --method=three --dots=RUN --dots_to_labels=RUN --labels_to_film=RUN \\
        --data=STORE --out=exports/method

The segmenter takes films of any height and width and gives class codes and probabilities in their geometry; the
method makes label maps and films from a count and a seed. OUT/assets/model.json lists the signatures.
OUT/README.md is the segmenter's model card, with the figures of its experiment. An export computes in the way of
CPUs on CPUs and in that of GPUs on GPUs, wherever it is made (--for leaves one out). A program needs TensorFlow
alone:

    loaded = tf.saved_model.load("exports/segmenter")
    loaded.signatures["uint8"](film=film, white=0.0)["codes"]

which are all that the network finds. Where the run keeps the largest piece alone of some classes (--keep_largest
of train_smanet, --recipe=best), assets/model.json names them as "largest": tools.predict does it to an export as
to a run, a program of your own has to, with network.onnx too.
"""

import pathlib
import sys

if not __package__:  # started by its path, from any folder
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from absl import app, flags

from datasets.common.errors import UserError, report_user_errors
from datasets.common.output_folders import EXPORT, check_output
from evaluation.results.columns import PAPER_METHODS
from tools.generation.flags import define_method_flags

_RUN = flags.DEFINE_string("run", None, "run folder of train_smanet, or its .keras file")
_METHOD, _RUNS = define_method_flags(PAPER_METHODS, required=False)
_DATA = flags.DEFINE_string("data", None, "pair folder they were trained on (method; runs that do not say it)")
_OUT = flags.DEFINE_string("out", None, "folder to write", required=True)
_CHECK = flags.DEFINE_bool("check", True, "mend dots and label maps as tools.generate does (none is rejected); "
                           "--nocheck leaves them as they are made (method)")
_BATCH = flags.DEFINE_integer("batch", None, "windows or pairs computed at a time (default: 4; fewer pairs where "
                              "they are large)", lower_bound=1)
_FOR = flags.DEFINE_enum("for", "any", ["cpu", "gpu", "any"], "what it is to run on; any holds the kernels of "
                         "both, and the device that runs it decides")
_ONNX = flags.DEFINE_bool("onnx", False, "also write OUT/network.onnx: windows to probabilities (needs tf2onnx)")


def main(argv) -> None:
    if bool(_RUN.value) == bool(_METHOD.value):
        raise UserError("give either --run, a segmenter, or --method with its runs")
    if _METHOD.value and _ONNX.value:
        raise UserError("--onnx is for a segmenter: give --run, or leave --onnx out")
    check_output(_OUT.value, EXPORT, [_RUN.value, _DATA.value, *(flag.value for flag in _RUNS.values())])
    if _RUN.value:
        _export_segmenter()
    else:
        _export_method()
    print(f"{_OUT.value}: written; assets/model.json lists its signatures")


def _export_segmenter() -> None:
    from evaluation.cards.model_card import model_card
    from evaluation.segmenter.load import load_segmenter
    from tools.export.saved_model import export_segmenter
    from tools.version import code_version

    segmenter = load_segmenter(_RUN.value, _DATA.value, _BATCH.value or 4, _FOR.value)
    facts = {**segmenter.facts.to_json(), "architecture": segmenter.architecture}
    card = model_card(_RUN.value, facts, code_version())
    export_segmenter(segmenter, _OUT.value, _ONNX.value, card)


def _export_method() -> None:
    from datasets.pair_store import PairStore
    from tools.export.saved_model import export_method
    from tools.generation.method_from_runs import Assembly

    if not _DATA.value:
        raise UserError(f"--method={_METHOD.value} needs --data, the pair folder the networks were trained on")
    runs = {stage: flag.value for stage, flag in _RUNS.items()}
    export_method(Assembly(_METHOD.value, runs, PairStore(_DATA.value)), _OUT.value, _BATCH.value,
                  _CHECK.value, _FOR.value)


if __name__ == "__main__":
    app.run(report_user_errors(main))
