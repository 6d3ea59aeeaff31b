"""Every binary as a process of its own, once; all other tests call them in theirs (tests/helpers/binaries.py)."""

import os
import subprocess
import sys

import pytest

from datasets.sources.phantom import write_phantoms
from tests.helpers import binaries

_MORE = "more"  # an argument where only options are taken
MISTAKES = {  # binary -> arguments that it refuses before TensorFlow starts, and a word of the refusal
    "evaluation.compare_columns": (["--results=runs", _MORE], _MORE),
    "evaluation.compare_copying": (["--results=r", "--out=o", _MORE], _MORE),
    "evaluation.evaluate_copy_check": (["--data=absent", "--out=o"], "absent"),
    "evaluation.evaluate_membership": (["--data=d", "--out=o", "--method=two"], "--results"),
    "evaluation.evaluate_memorization": (["--real=r", "--synthetic=s", "--out=o", "--count=0"], "--count=0"),
    "evaluation.evaluate_realism": (["--real=absent", "--synthetic=s", "--out=o"], "absent"),
    "evaluation.evaluate_segmentation": (["--model=m", "--data=d", "--out=o", _MORE], _MORE),
    "evaluation.make_curves": (["--results=r", "--out=o", _MORE], _MORE),
    "evaluation.make_figures": (["--results=r", "--out=o", _MORE], _MORE),
    "evaluation.make_tables": (["--results=r", "--out=o", _MORE], _MORE),
    "tools.benchmark": ([_MORE], _MORE),
    "tools.export_dataset": (["--format=coco", "--data=absent", "--out=o"], "absent"),
    "tools.export_model": (["--out=o", _MORE], _MORE),
    "tools.generate": (["--method=single", "--data=d", "--out=o", _MORE], _MORE),
    "tools.import_dataset": (["--images=absent", "--labels=l", "--out=o", "--size=32", "--classes=a,b",
                              "--test_fraction=0"], "absent"),
    "tools.import_weights": (["--model=pggan", "--from=absent.npz", "--out=o"], "absent.npz"),
    "tools.make_phantoms": (["--out=o", "--count=2", "--test_count=3"], "--test_count=3"),
    "tools.paint_marks": (["--data=absent", "--out=o"], "absent"),
    "tools.measure_gpu": (["--out=o", "--parts=absent"], "absent"),
    "tools.predict": (["model", "absent.png", "--out=o"], "absent.png"),
    "tools.prepare_jsrt": (["--jsrt_dir=absent", "--scr_dir=s", "--out=o", "--size=32"], "absent"),
    "tools.publish_dataset": (["run", "--out=o", "--license=CC BY"], "--license=CC BY"),
    "tools.reader_study": (["report", "--out=o"], "--key"),
    "tools.run_experiment": (["--workdir=w", "--methods=four"], "four"),
    "tools.shift_dataset": (["--data=absent", "--out=o"], "absent"),
    "tools.show_attention": (["--model=m", "--data=d", "--out=o", _MORE], _MORE),
    "tools.verify_dataset": (["--data=absent"], "absent"),
    "training.train_pggan": (["--data=d", "--workdir=w", _MORE], _MORE),
    "training.train_pix2pixhd": (["--data=d", "--workdir=w", _MORE], _MORE),
    "training.train_smanet": (["--data=d", "--workdir=w", _MORE], _MORE),
}


def _process(module, *options):
    """As a user starts it: TensorFlow's log level is not set."""
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run([sys.executable, "-m", module, *options], cwd=binaries.ROOT, env=environment, text=True,
                          capture_output=True, timeout=300)
    return binaries.Done(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("module", binaries.all_binaries())
def test_a_mistake_is_one_line_in_a_real_process(module):
    arguments, said = MISTAKES[module]
    binaries.told(_process(module, *arguments), said)


def test_tensorflow_starts_without_a_word(tmp_path):
    films = write_phantoms(tmp_path / "films", 2, 1, 32, 0).path
    (tmp_path / "model").mkdir()
    done = _process("evaluation.evaluate_segmentation", f"--model={tmp_path}/model", f"--data={films}",
                    f"--out={tmp_path}/out")
    binaries.told(done, f"{tmp_path}/model: ", "product.json")


@pytest.mark.parametrize("module", binaries.all_binaries())
def test_help_says_what_it_does_and_its_options(module):
    done = binaries.run(module, "--help")
    assert done.err == "" and f"python -m {module}" in done.out
    options = {argument.partition("=")[0] for argument in MISTAKES[module][0] if argument.startswith("--")}
    assert options <= {f"--{line.strip()[2:].partition(':')[0]}" for line in done.out.splitlines()
                       if line.startswith("  --")}


def test_a_mistyped_option_is_refused():
    done = binaries.run("training.train_smanet", "--data=d", "--workdir=w", "--step=3")
    assert done.code == 1 and done.out == "" and "'step'" in done.err and "steps" in done.err


def test_called_here_a_binary_leaves_nothing_behind(tmp_path):
    before = [os.getcwd(), dict(os.environ), list(sys.argv), list(sys.meta_path)]
    for _ in range(2):
        for module in ("tools.predict", "tools.generate"):  # both have an option --out, and one changes the parser
            assert binaries.run(module, "--nothing").code == 1
    assert before == [os.getcwd(), dict(os.environ), list(sys.argv), list(sys.meta_path)]
