"""Measures on a GPU, in one go, what docs/performance.md has no figures of yet; each part has a time limit.

    python -m tools.measure_gpu --out=gpu-session                  at most 80 minutes on one card
    python -m tools.measure_gpu --out=tried --rehearse             the same parts, tiny, on any machine
    python -m tools.measure_gpu --out=gpu-session --parts=steps,xla      these alone

Parts, in this order: parity and gpu_tests (`make test-gpu`; they need pytest), steps (networks of the paper's
sizes, beside PyTorch where it is installed), forward, pairs (a translator trained for an epoch at 1024 pixels,
then pairs with mending and PNG), tiny (an experiment of preset cpu from end to end, on phantoms or --data), xla
(steps that XLA takes minutes for). One after another: side by side they disturb one another's searches for
kernels, and so their times (docs/performance.md). Each writes OUT/PART.log, rows of times go to OUT/PART.json,
and OUT/session.json tells seconds, in how many tries, and how each ended. A part that fails or takes too long
leaves the others as they are; the same command does again what is not done. Ended by Ctrl-C, SIGTERM or a
closed terminal, it ends what it has started, too.
"""

import importlib.util
import pathlib
import subprocess
import sys

if not __package__:  # started by its path, from any folder
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from absl import app, flags

from datasets.common import atomic_files
from datasets.common.errors import UserError, report_user_errors
from datasets.common.output_folders import GPU_SESSION, check_output
from tools.speed.parts import Part, end_on_signals, run_part

_OUT = flags.DEFINE_string("out", None, "folder to write; made, or continued", required=True)
_DATA = flags.DEFINE_string("data", None, "pair folder of 128 pixels for the experiment, e.g. of JSRT (default: "
                                          "phantoms)")
_PARTS = flags.DEFINE_list("parts", [], "these alone")
_REHEARSE = flags.DEFINE_bool("rehearse", False, "everything as small as it can be, to see that it runs")
_LIMITS = flags.DEFINE_float("limits", 1.0, "factor on all time limits", lower_bound=0.01)
_FEW, _MANY = 4, 68  # pairs: the difference of two runs leaves out how long they take to start


def main(argv) -> int:
    check_output(_OUT.value, GPU_SESSION, [_DATA.value])
    out = pathlib.Path(_OUT.value).resolve()
    session, parts = out / "session.json", _parts(out)
    names = list(dict.fromkeys(_group(part.name) for part in parts))
    wrong = [name for name in _PARTS.value if name not in names]
    if wrong:
        raise UserError(f"--parts: found {wrong[0]!r}, expected some of {', '.join(names)}")
    done = atomic_files.read_json(session) if session.is_file() else {}
    if not isinstance(done, dict) or not all(isinstance(part, dict) and "end" in part for part in done.values()):
        raise UserError(f"{session}: not of this tool; choose another --out")
    if not _REHEARSE.value and not _gpu():
        raise UserError("TensorFlow sees no GPU (pip install 'tensorflow[and-cuda]', or set "
                        "CUDA_VISIBLE_DEVICES); --rehearse tries the parts out without one")
    atomic_files.make_folder(out)
    end_on_signals()
    for part in parts:
        known = done.get(part.name, {})
        # What a rehearsal did, or other data's, does not count.
        known = known if known.get("command") == " ".join(part.command) else {}
        if _group(part.name) not in (_PARTS.value or names) or known.get("end") == "done":
            continue
        print(f"{part.name}: at most {part.limit * _LIMITS.value:.0f} s", flush=True)
        found = run_part(part, out / f"{part.name}.log", _LIMITS.value)
        done[part.name] = {**found, "seconds": found["seconds"] + known.get("seconds", 0.0),
                           "tries": known.get("tries", 0) + 1}
        print(f"{part.name}: {done[part.name]['end']}, {done[part.name]['seconds']:.0f} s", flush=True)
        atomic_files.write_json(session, done)
    few, many = (done.get(f"pairs.{count}", {}) for count in (_FEW, _MANY))
    if few.get("end") == many.get("end") == "done" and few.get("tries") == many.get("tries") == 1:
        rate = (_MANY - _FEW) / max(1e-3, many["seconds"] - few["seconds"])
        print(f"pairs/s, label maps warped, one translator, mending and PNG: {rate:.2f}")
    return int(any(part["end"] != "done" for part in done.values()))


def _group(name: str) -> str:
    """The part of --parts that a command belongs to: of "pairs.films" pairs."""
    return name.partition(".")[0]


def _gpu() -> bool:
    """Asked in a process of its own, so that this one takes no memory of the card."""
    ask = "import sys, tensorflow as tf; sys.exit(not tf.config.list_physical_devices('GPU'))"
    return subprocess.run([sys.executable, "-c", ask], capture_output=True).returncode == 0


def _parts(out: pathlib.Path) -> list[Part]:
    tiny, python = _REHEARSE.value, (sys.executable, "-m")
    test = (*python, "pytest", "-p", "no:xdist", "-o", "addopts=", "-rs", "-q")
    size, preset, films = (64, "demo", 4) if tiny else (1024, "paper", 11)
    peer = ["--peer=torch"] if importlib.util.find_spec("torch") else []

    def benchmark(name: str, items: str, limit: float, row: float, *more: str) -> Part:
        small = ["--shrink=8", "--seconds=0", "--precisions=float32"] if tiny else [
            "--seconds=2", "--precisions=mixed_bfloat16"]
        return Part(name, (*python, "tools.benchmark", f"--items={items}", *small, f"--row_limit={row:.0f}",
                           f"--out={out / name}.json", *more), limit)

    def generate(count: int) -> Part:
        return Part(f"pairs.{count}", (
            *python, "tools.generate", "--method=warp", f"--labels_to_film={out / 'translator'}",
            f"--data={out / 'films'}", f"--count={count}", f"--out={out / f'pairs-{count}'}"), 240)

    data = [f"--data={_DATA.value}"] if _DATA.value else ["--phantoms=64"]
    return [
        Part("parity", (*test, "tests/parity"), 240, {"NVIDIA_TF32_OVERRIDE": "0"}),
        Part("gpu_tests", (*test, "tests/gpu"), 480),
        benchmark("steps", "gpu", 900, 120, *peer),
        benchmark("forward", "pggan_labels_forward_1024,dots_to_labels_forward_1024,smanet_forward_377,"
                  "single_stage_pair_1024,two_stage_pair_1024", 400, 90, *peer),
        Part("pairs.films", (
            *python, "tools.make_phantoms", f"--count={films}", "--test_count=1", f"--size={size}",
            f"--out={out / 'films'}"), 120),
        Part("pairs.translator", (
            *python, "training.train_pix2pixhd", f"--preset={preset}", "--translate_from=labels", "--epochs=1",
            "--epochs_decay=0", "--grids=0", f"--data={out / 'films'}", f"--workdir={out / 'translator'}"), 300),
        generate(_FEW), generate(_MANY),
        Part("tiny", (
            *python, "tools.run_experiment", *data, "--config=tiny", f"--preset={'demo' if tiny else 'cpu'}",
            "--recipe=paper", "--methods=three", f"--workdir={out / 'tiny'}"), 1200),
        benchmark("xla", "smanet_step_17x377,pggan_dots_step_64", 700, 600, "--xla=on")]


if __name__ == "__main__":
    app.run(report_user_errors(main))
