"""Runs the paper's experiment: trains whatever the table's columns need, evaluates, and writes the report.

    python -m tools.run_experiment --data=STORE --config=tiny --preset=cpu --workdir=RUN

--phantoms=N instead of --data makes and uses N procedural chest films, or with --kind=cells and the like other
pictures (see tools.make_phantoms). The same command continues a run that was stopped: finished tasks are skipped,
tasks whose settings or data changed are done again. Columns of an earlier command, with other --methods, --extras
or --network, stay in the tables where this one would make them alike; the others are left out, which is said.

--config=tiny uses 11 of the train films as the paper does, or with --films=5 another number. Draws of one seed are
nested: five films are among the eleven.

    python -m tools.run_experiment --data=STORE --films=5,11,20,40 --seeds=0-4 --preset=cpu --workdir=RUN

is one plan: an experiment for each number of films and each seed, in RUN/films-5/seed-0 and so on, each as if it
were run alone; tables of each number over all seeds in RUN/films-5/tables, curves over them in RUN/curves. What is
finished stays so when numbers, seeds, methods, extras or networks are added.

Before training it says how dots were chosen where the paper's, one for each organ, don't suit the data: one for
each piece of a class that comes in pieces, smaller or larger ones where some would hide others, and which classes
dots cannot place (a branching tree, the sky). --dot_size=64 takes larger dot maps, --undotted=vessel,sky leaves
classes to the translator of dots; --methods=two needs no dots.

--jobs=2 runs two tasks at once, each in a process of its own; with --scheduler=HOST:PORT or --scheduler_file=FILE
the workers of a Dask scheduler run them, on any machines that share the folders (docs/cluster.md).

--extras adds baselines that the paper does not have, to a finished experiment too: mix, one segmenter per method
trained on synthetic and real pairs together from the start; shape, a statistical shape model in place of the
networks that make label maps; warp, real label maps deformed, in their place. At as many updates as FINETUNE has
in both its phases: real-2x, REAL; augment, REAL on films strongly augmented on the fly; mix-real, that with a
rectangle of another film in half of all crops; finetune+augment, strong augmentation in both phases of SYNTH and
FINETUNE; mix+augment, in mix. The tables tell the updates of each column. --unlabelled=DIR adds pseudo: films
without label maps, labelled by augment's segmenter, and the real ones together, half of each; DIR must hold no
test film (one with the id of one is refused). --unlabelled=train takes the train films that TINY leaves out.

--network=unet trains a plain U-Net in SMANet's place, in columns of its own beside those of SMANet in the folder;
--network=smanet,unet trains both. The networks that make pairs are the same.
--external=STORE[,NAME] scores every column on the films of another pair folder too, as from another hospital, each
in its own geometry as tools.predict would (docs/outside.md); to a finished experiment it adds that alone.

    --external=data/montgomery,Montgomery --external_classes='lungs=left lung+right lung'

--recipe=paper is the paper's protocol, and what --preset=paper takes. The other presets take --recipe=best: pairs
by other means than the paper's, averaged weights of segmenters, more frequent strong augmentation, one piece where
an organ is one (training/presets/recipes.py lists all), and the columns of augment and mix+augment beside the
paper's, which have the pairs of these means, too. A folder keeps to its recipe; tables, report and figures name
it, and experiment.json tells what it changed.
"""

import dataclasses
import pathlib
import shlex
import sys
import tempfile

if not __package__:  # started by its path, from any folder
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from absl import app, flags

from datasets.common.errors import UserError, report_user_errors
from datasets.common.output_folders import EXPERIMENT, check_output
from datasets.external import External, read_externals
from datasets.sources.phantom import KINDS
from datasets.subsets import LEFT_OUT, TINY_FILMS
from evaluation.results.columns import EXTRAS, NETWORKS, PAPER_METHODS
from tools.experiment.cluster import Cluster, check_cluster
from tools.experiment.numbers import numbers
from training.config import MOST_SEED
from training.presets.recipes import RECIPES

_DATA = flags.DEFINE_string("data", None, "pair folder of real films with train and test pairs")
_PHANTOMS = flags.DEFINE_integer("phantoms", 0, "use this many procedural films instead of --data", lower_bound=0)
_KIND = flags.DEFINE_enum("kind", "chest", list(KINDS), "what the films of --phantoms show")
_CONFIG = flags.DEFINE_enum("config", "tiny", ["full", "tiny"], "all train films, or the few of TINY")
_FILMS = flags.DEFINE_string("films", None, f"how many films TINY has; default: the paper's {TINY_FILMS}. Several "
                             "numbers, as 5,11,20, make a plan")
_PRESET = flags.DEFINE_string("preset", "cpu", "settings of every stage: paper, cpu or demo")
_RECIPE = flags.DEFINE_enum("recipe", None, list(RECIPES), "the paper's protocol, or the levers that "
                            "training/presets/recipes.py lists, with columns of their own (default: the folder's; "
                            "of a new one the preset's, which is the paper's for paper, else best)")
_CHECK_SAMPLES = flags.DEFINE_bool("check_samples", None, "mend generated label maps, reject what no real map is "
                                   "like; ours, not the paper's, which keeps every sample as it is (default: the "
                                   "preset's)")
_STANDARDIZE = flags.DEFINE_bool("standardize", None, "bring every crop to one mean and deviation; ours, not the "
                                 "paper's (default: the preset's)")
_DOT_SIZE = flags.DEFINE_integer("dot_size", None, "side of the dot maps in pixels, a power of 2: larger "
                                 "ones place more pieces (default: the preset's)", lower_bound=8)
_UNDOTTED = flags.DEFINE_list("undotted", [], "classes without dots: the translator of dots places them")
_WORKDIR = flags.DEFINE_string("workdir", None, "folder of the experiment; made, or continued", required=True)
_METHODS = flags.DEFINE_list("methods", list(PAPER_METHODS), "methods compared with the real films alone")
_EXTRAS = flags.DEFINE_list("extras", [], f"baselines beyond the paper, own columns: {', '.join(EXTRAS)}; "
                            "or all")
_NETWORK = flags.DEFINE_list("network", ["smanet"], f"segmenters of all columns: {', '.join(NETWORKS)}; or all")
_EXTERNAL = flags.DEFINE_multi_string("external", [], "STORE[,NAME]: a pair folder of elsewhere on which every "
                                      "column is scored too, in a block of rows of its own; may be given again")
_EXTERNAL_CLASSES = flags.DEFINE_list("external_classes", [], "which of its classes are which of ours by other "
                                      "than their names, as 'lungs=left lung+right lung'")
_UNLABELLED = flags.DEFINE_string("unlabelled", None, "folder of films without label maps, for the column pseudo, "
                                  f"or {LEFT_OUT}: the train films that TINY leaves out, their label maps unread")
_SEED = flags.DEFINE_integer("seed", 0, "of every random draw, TINY's films included", lower_bound=0,
                             upper_bound=MOST_SEED)
_SEEDS = flags.DEFINE_string("seeds", None, "several seeds in place of --seed, as 0-4 or 0,3: a plan of one draw "
                             "of each")
_JOBS = flags.DEFINE_integer("jobs", 1, "tasks run at once, each with its share of the cores, or a GPU",
                             lower_bound=1)
_THREADS = flags.DEFINE_integer("threads", None, "of each task with --jobs or a scheduler (default: its share of "
                                "the cores); results agree to the last bit among equal numbers", lower_bound=1)
_SCHEDULER = flags.DEFINE_string("scheduler", None, "HOST:PORT of a Dask scheduler whose workers run the tasks, "
                                 "in place of --jobs (docs/cluster.md)")
_SCHEDULER_FILE = flags.DEFINE_string("scheduler_file", None, "file in which that scheduler wrote its address")
_SHARD_PAIRS = flags.DEFINE_integer("shard_pairs", 2500, "with --jobs or a scheduler, synthetic sets of more "
                                    "pairs are made in shards, tasks of their own, and then joined; it changes no "
                                    "set; 0: whole", lower_bound=0)
_WORKERS = flags.DEFINE_integer("workers_per_training", 1, "with --jobs or a scheduler, so many workers train "
                                "each network together, a part of each batch on each (tf.distribute)",
                                lower_bound=1)
_ESTIMATE = flags.DEFINE_bool("estimate", False, "measure a few steps of each network and tell time and memory")
_ESTIMATE_DEVICES = flags.DEFINE_integer("estimate_devices", 8, "also for this many devices like this one",
                                         lower_bound=1)
_DRY_RUN = flags.DEFINE_bool("dry_run", False, "list the tasks with their settings and state, do nothing")


def main(argv) -> None:
    for flag, names in ((_METHODS, PAPER_METHODS), (_EXTRAS, EXTRAS), (_NETWORK, NETWORKS)):
        unknown = [name for name in flag.value if name not in names]
        unknown = unknown or [""] * (flag is _NETWORK and not flag.value)  # REAL needs one
        if flag.value != ["all"] and unknown:
            raise UserError(f"--{flag.name}={','.join(flag.value)}: found {unknown[0]!r}, expected some of "
                            f"{', '.join(names)}, or all")
    if bool(_DATA.value) == bool(_PHANTOMS.value):  # both or neither
        raise UserError("give either --data=STORE or --phantoms=N")
    if _DATA.value and _KIND.value != "chest":
        raise UserError(f"--kind={_KIND.value}: is for --phantoms=N, found --data={_DATA.value}; leave one out")
    sizes, seeds = _sizes(), numbers("seeds", _SEEDS.value, least=0) if _SEEDS.value is not None else None
    if seeds and _SEED.present:
        raise UserError(f"--seeds={_SEEDS.value}: found --seed={_SEED.value} too; leave one out")
    if sizes and _CONFIG.value != "tiny":
        raise UserError(f"--films={_FILMS.value}: is for --config=tiny, found --config={_CONFIG.value}; leave "
                        "one out")
    _extras()  # for what it refuses
    cluster = Cluster(_JOBS.value, _SCHEDULER.value, _SCHEDULER_FILE.value, _THREADS.value)
    if _THREADS.value and not cluster.elsewhere and cluster.jobs == 1:
        raise UserError(f"--threads={_THREADS.value}: is for --jobs=2 or more, or a scheduler; found neither")
    if _WORKERS.value > 1 and not cluster.elsewhere and _WORKERS.value > cluster.jobs:
        raise UserError(f"--workers_per_training={_WORKERS.value}: found --jobs={cluster.jobs}, expected as many "
                        "or more, or a scheduler")
    if cluster.elsewhere and _JOBS.present:
        raise UserError(f"--jobs={_JOBS.value}: is for this machine, found a scheduler too, whose workers say how "
                        "many tasks they run at once (--nthreads); leave one out")
    externals = read_externals(_EXTERNAL.value, _EXTERNAL_CLASSES.value)
    elsewhere = [*(external.path for external in externals), *_unlabelled_folder()]
    check_output(_WORKDIR.value, EXPERIMENT, [_DATA.value, *elsewhere])
    if not (_DRY_RUN.value or _ESTIMATE.value):
        check_cluster(cluster)
    with tempfile.TemporaryDirectory() as scratch:
        _run(_data_folder(scratch, externals), cluster, externals)


def _data_folder(scratch: str, externals: tuple[External, ...]) -> str:
    """--data, or the phantoms made for this run (in `scratch` by a dry run), checked before anything is made."""
    from datasets.common import atomic_files
    from datasets.pair_store import PairStore
    from datasets.resize import refuse_oblong
    from datasets.rules.dot_rules import undotted_codes
    from datasets.sources.phantom import write_phantoms
    from datasets.subsets import choose_subset

    preset = _preset()
    classes = PairStore(_DATA.value).classes if _DATA.value else KINDS[_KIND.value].classes
    scored = preset.segmenter.classes == "scored"
    for external in externals:
        external.regions(classes.segmented(scored), scored)  # for what it refuses
    undotted_codes(preset.dots.undotted, classes, "three" not in _chosen(_METHODS, PAPER_METHODS))
    if _DATA.value:
        store = PairStore(_DATA.value)
        # For what it refuses, before a folder is made.
        chosen = choose_subset(store, _CONFIG.value, _SEED.value, max(_sizes() or [preset.tiny_films]))
        if _UNLABELLED.value:
            from tools.experiment.unlabelled import Unlabelled  # starts TensorFlow

            Unlabelled(_UNLABELLED.value, store, tuple(chosen)).settings()
        refuse_oblong(store)
        for external in externals:
            if external.fingerprint == store.fingerprint():
                raise UserError(f"--external={external.path}: holds the very pairs of --data={_DATA.value}, "
                                "expected films of elsewhere; leave it out")
        if not (_DRY_RUN.value or _ESTIMATE.value):
            atomic_files.make_folder(_WORKDIR.value)
        return _DATA.value
    test = max(1, _PHANTOMS.value // 3)  # a third tests
    most = max(_sizes() or [preset.tiny_films])
    train, needed = _PHANTOMS.value - test, most if _CONFIG.value == "tiny" else 1
    if train < needed:
        raise UserError(f"--phantoms={_PHANTOMS.value}: found {train} train films (a third tests), expected at "
                        f"least {needed} for --config={_CONFIG.value}; ask for more")
    path = f"{scratch if _DRY_RUN.value or _ESTIMATE.value else _WORKDIR.value}/phantoms"
    write_phantoms(path, _PHANTOMS.value, test, preset.size, _SEED.value, _KIND.value)
    return path


def _recipe() -> str:
    """--recipe, or that of the folder that is continued, or the preset's.

    Raises UserError for a folder of a recipe that there is not.
    """
    from evaluation.results.made_with import recipe_of
    from training import presets

    if _RECIPE.value:
        return _RECIPE.value
    found = recipe_of(pathlib.Path(_WORKDIR.value)) or presets.load(_PRESET.value).recipe
    if found not in RECIPES:
        raise UserError(f"{_WORKDIR.value}: was made with --recipe={found}, expected {' or '.join(RECIPES)}; "
                        "use the code that made it, or another --workdir")
    return found


def _preset():
    """--preset with what --recipe, --films, --dot_size, --undotted, --check_samples and --standardize change."""
    from training import presets

    preset = RECIPES[_recipe()].applied(presets.load(_PRESET.value))
    if _sizes():
        preset = dataclasses.replace(preset, tiny_films=_sizes()[0])
    if _DOT_SIZE.value:
        if _DOT_SIZE.value & (_DOT_SIZE.value - 1) or _DOT_SIZE.value > preset.size:
            raise UserError(f"--dot_size={_DOT_SIZE.value}: expected a power of 2 of at most {preset.size}, the "
                            f"side of label maps of --preset={_PRESET.value}")
        preset = dataclasses.replace(
            preset, dots=dataclasses.replace(preset.dots, resolution=_DOT_SIZE.value),
            dots_to_labels=dataclasses.replace(preset.dots_to_labels, dot_size=_DOT_SIZE.value))
    if _UNDOTTED.value:
        preset = dataclasses.replace(preset, **{
            name: dataclasses.replace(getattr(preset, name), undotted=",".join(_UNDOTTED.value))
            for name in ("dots", "dots_to_labels")})
    if _CHECK_SAMPLES.value is not None:
        preset = dataclasses.replace(preset, check_samples=_CHECK_SAMPLES.value)
    if _STANDARDIZE.value is not None:
        preset = dataclasses.replace(preset, **{
            name: dataclasses.replace(getattr(preset, name), standardize=_STANDARDIZE.value)
            for name in ("segmenter", "finetune")})
    return preset


def _chosen(flag: flags.FlagHolder, names: tuple[str, ...]) -> tuple[str, ...]:
    """What a flag names, or all of `names`."""
    return names if flag.value == ["all"] else tuple(flag.value)


def _extras() -> tuple[str, ...]:
    """What --extras and --recipe name, and pseudo with --unlabelled; raises UserError for pseudo without it."""
    named = [*_chosen(_EXTRAS, EXTRAS), *RECIPES[_recipe()].extras]
    if _UNLABELLED.value:
        named.append("pseudo")
    elif "pseudo" in _EXTRAS.value:
        raise UserError(f"--extras={','.join(_EXTRAS.value)}: found pseudo without films; expected "
                        f"--unlabelled=DIR, a folder of films without label maps, or --unlabelled={LEFT_OUT}")
    return tuple(dict.fromkeys(named))


def _unlabelled_folder() -> list[str]:
    return [_UNLABELLED.value] if _UNLABELLED.value and _UNLABELLED.value != LEFT_OUT else []


def _sizes() -> list[int]:
    """The numbers of --films, rising; empty without it."""
    return numbers("films", _FILMS.value, least=1) if _FILMS.value is not None else []


def _run(data: str, cluster: Cluster, externals: tuple[External, ...]) -> None:
    from evaluation.results.made_with import MadeWith
    from tools.experiment.draws import Draws
    from tools.experiment.earlier_plans import naming_superseded
    from tools.experiment.engine import run_tasks_at_once
    from tools.experiment.plan import Experiment
    from tools.experiment.tasks import TaskRecords, run_tasks

    experiment = Experiment(data, _CONFIG.value, _preset(), _chosen(_METHODS, PAPER_METHODS), _SEED.value,
                            _WORKDIR.value, _command(), _extras(), _chosen(_NETWORK, tuple(NETWORKS)), externals,
                            _UNLABELLED.value or "",
                            _SHARD_PAIRS.value if cluster.jobs > 1 or cluster.elsewhere else 0, _WORKERS.value,
                            MadeWith(_PRESET.value, _recipe(), RECIPES[_recipe()].to_json()))
    if len(_sizes()) > 1 or _SEEDS.value is not None:
        seeds = numbers("seeds", _SEEDS.value, least=0) if _SEEDS.value is not None else [_SEED.value]
        sizes = _sizes() or ([experiment.preset.tiny_films] if _CONFIG.value == "tiny" else [])
        experiment = Draws(experiment, tuple(sizes), tuple(seeds))
    else:
        experiment = naming_superseded(experiment)
    for note in experiment.notes():
        print(f"note: {note}", flush=True)
    if not (_ESTIMATE.value or _DRY_RUN.value):
        for line in experiment.dot_lines():
            print(line, flush=True)
    if _ESTIMATE.value:
        _estimate(experiment)
    elif (cluster.jobs > 1 or cluster.elsewhere) and not _DRY_RUN.value:
        run_tasks_at_once(experiment.tasks, _WORKDIR.value, cluster,
                          [data, *(external.path for external in externals), *_unlabelled_folder()])
    else:
        run_tasks(experiment.tasks(), _WORKDIR.value, _DRY_RUN.value)
    if isinstance(experiment, Draws) and (_ESTIMATE.value or _DRY_RUN.value):
        tasks = experiment.tasks()
        records = TaskRecords(tasks, _WORKDIR.value, print)
        print(experiment.summary([records.state(task) for task in tasks]))


def _estimate(experiment) -> None:
    from tools.experiment.estimate import disk_gib, estimate, table

    runs, found, measured = experiment.training_jobs(), {}, {}
    for job in runs:
        nameless = dataclasses.replace(job, name="")  # equal but for their names: measured once
        if nameless not in measured:
            print(f"measuring {job.name} ...", flush=True)
            measured[nameless] = estimate(job)
        found[job] = measured[nameless]
    print(table(found, runs, _ESTIMATE_DEVICES.value))
    print(f"Disk: about {disk_gib(found, runs, experiment.picture_bytes()):.2g} GiB.")
    print("Training alone, with the same batches; several devices at best, without what their exchange costs. "
          "Generating and evaluating are not included.")


def _command() -> str:
    """This command as a shell takes it, defaults and all."""
    words = ["python", "-m", "tools.run_experiment",
             f"--data={_DATA.value}" if _DATA.value else f"--phantoms={_PHANTOMS.value}",
             *([f"--kind={_KIND.value}"] if _KIND.value != "chest" else []),
             f"--config={_CONFIG.value}", f"--preset={_PRESET.value}", f"--recipe={_recipe()}",
             f"--methods={','.join(_METHODS.value)}",
             *([f"--extras={','.join(_EXTRAS.value)}"] if _EXTRAS.value else []),
             *([f"--network={','.join(_NETWORK.value)}"] if _NETWORK.value != ["smanet"] else []),
             *(f"--external={external}" for external in _EXTERNAL.value),
             *([f"--external_classes={','.join(_EXTERNAL_CLASSES.value)}"] if _EXTERNAL_CLASSES.value else []),
             *([f"--unlabelled={_UNLABELLED.value}"] if _UNLABELLED.value else []),
             *([f"--films={_FILMS.value}"] if _FILMS.value else []),
             *([f"--dot_size={_DOT_SIZE.value}"] if _DOT_SIZE.value else []),
             *([f"--undotted={','.join(_UNDOTTED.value)}"] if _UNDOTTED.value else [])]
    words += [f"--{'' if flag.value else 'no'}{flag.name}" for flag in (_CHECK_SAMPLES, _STANDARDIZE)
              if flag.value is not None]
    words.append(f"--seed={_SEED.value}" if _SEEDS.value is None else f"--seeds={_SEEDS.value}")
    return shlex.join([*words, f"--workdir={_WORKDIR.value}"])


if __name__ == "__main__":
    app.run(report_user_errors(main))
