"""Where a binary may write: a new folder or an earlier one of its own kind, apart from all that it reads.

    check_output(out, RESULTS, reads=[data, model], beside=[experiment])

comes first in every binary that has an --out or --workdir, before anything is read or made. `refuse_foreign`, its
second half, also guards the classes that write pair folders and run folders.
"""

import contextlib
import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence

from datasets.common.errors import UserError
from datasets.common.litter import why_litter

# Kinds of folders: what tells that one is of ours. Each is written before all else that such a folder holds, or
# with it.
PAIRS = ("description.json",)
RUN = ("config.json", "product.json")
EXPERIMENT = ("tasks", "phantoms/description.json")
SHARD = ("shard.json",)
EXPORT = ("assets/model.json",)
WEIGHTS = ("global_generator.keras", "local_enhancer.keras", "discriminator.keras", "generator.keras")
STUDY = ("keep/key.json",)
EXCHANGE = ("dataset.json", "annotations", "pairs.csv")  # in nnU-Net's format, COCO's, as NIfTI
PUBLISHED = ("SHA256SUMS",)
INTERNAL = ("DO-NOT-PUBLISH.txt",)
GPU_SESSION = ("session.json",)
RESULTS = ("per_film.csv", "per_film_summary.csv", "captions.md", "realism.csv", "memorization.json", "areas.csv",
           "curves.csv", "attention.json", "reader_study.md", "copy_check.csv", "membership.csv", "copying.csv")

Path = str | os.PathLike


def check_output(out: Path, kind: Sequence[str], reads: Iterable[Path | None] = (),
                 beside: Iterable[Path | None] = ()) -> None:
    """Raises UserError unless `out` may be written to; makes nothing.

    Args:
      out: folder that will be made, or continued.
      kind: one of this module's; an `out` that holds something must be of it.
      reads: folders and files that are read. `out` may not be one of them, lie in one, hold one, or be the folder
        of such a file. None, and what is not there or empty, are passed over: whoever reads them tells.
      beside: folders of experiments that are read: `out` may be a folder of its own in them.
    """
    if not os.fspath(out):
        raise UserError("found an empty name of a folder to write to; name one")
    for read, inside_too in (*((path, False) for path in beside), *((path, True) for path in reads)):
        if read:
            _refuse_read(out, read, inside_too)
    for folder in _parents(out)[1:]:
        if all(os.path.isfile(folder / name) for name in ("description.json", "manifest.csv")):
            raise UserError(f"{out}: lies in the pair folder {folder}, whose files are data; choose a folder "
                            "outside of it")
    refuse_foreign(out, kind)


def refuse_foreign(out: Path, kind: Sequence[str]) -> None:
    """Raises UserError if `out` is a file, or holds anything and is not of `kind`: it is somebody's own."""
    if not os.fspath(out):
        return  # whoever makes the folder tells
    if any(os.path.exists(os.path.join(out, mark)) for mark in kind):
        return
    if os.path.exists(out) and not os.path.isdir(out):
        raise UserError(f"{out}: is a file, expected a folder to write to; choose another name")
    found = next(_contents(pathlib.Path(out)), None)
    if found is not None:
        raise UserError(f"{out}: {found.name} there would be written over, or among somebody's own (there is no "
                        f"{kind[0]} of an earlier run); choose a new or empty folder")


def _refuse_read(out: Path, read: Path, inside_too: bool) -> None:
    if _same(out, read) or (os.path.isfile(read) and _same(out, os.path.dirname(os.path.realpath(read)))):
        raise UserError(f"{out}: would be written to, but {read} is read; choose another folder to write to")
    if os.path.isfile(read) or next(_contents(pathlib.Path(read)), None) is None:
        return
    if inside_too and any(_same(folder, read) for folder in _parents(out)):
        raise UserError(f"{out}: would be written to, but lies in {read}, which is read; choose a folder outside "
                        "of it")
    if os.path.exists(read) and any(_same(folder, out) for folder in _parents(read)):
        raise UserError(f"{out}: would be written to, but holds {read}, which is read; choose a folder apart "
                        "from it")


def _parents(path: Path) -> list[pathlib.Path]:
    """`path` and the folders around it, links followed."""
    real = pathlib.Path(os.path.realpath(path))
    return [real, *real.parents]


def _same(one: Path, other: Path) -> bool:
    """Whether both are one folder, also by two names of it; false where one is not there."""
    with contextlib.suppress(OSError):
        return os.path.samefile(one, other)
    return False


def _contents(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """What `folder` holds, but for hidden files, litter, and empty folders, which a stopped run may leave."""
    if not os.path.isdir(folder):  # nor of a name that no system takes
        return
    with contextlib.suppress(OSError):  # one that cannot be read cannot be written to either, and is told then
        for path in sorted(folder.iterdir()):
            empty = path.is_dir() and not path.is_symlink() and not any(path.iterdir())
            if not (empty or why_litter(path.name)):
                yield path
