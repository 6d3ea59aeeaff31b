"""Films without label maps, labelled by a segmenter: pseudo-labels (Lee 2013), for the column `pseudo`.

They come from a folder of any films that are read, brought to the pairs' size as `tools.import_dataset` does, or
are the train films of the experiment's own data that were not chosen, whose label maps are then not read.
"""

import dataclasses
import functools
import hashlib
import pathlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from datasets import grey
from datasets.class_table import ClassTable
from datasets.common import atomic_files
from datasets.common.errors import UserError
from datasets.common.progress import say, show_progress
from datasets.formats.find import find_named
from datasets.formats.raster import white_above
from datasets.formats.read import read_film
from datasets.manifest import Entry
from datasets.pair_store import Description, PairStore, PairWriter, describe_ids
from datasets.resize import resize_film
from datasets.rules.label_cleaning import keep_largest
from datasets.sources.own_files import OwnFolder
from datasets.sources.own_folders import PairFilms, pad_square
from datasets.subsets import LEFT_OUT
from evaluation.segmenter.load import coded
from evaluation.segmenter.predict_films import film_slices, find_films
from evaluation.segmenter.saved_network import load_network
from evaluation.segmenter.sliding_window import probabilities_of, sliding_window
from tools.experiment.scoring import segmented_table
from training.config import SMANetConfig

_SOURCE = "unlabelled"  # in the manifest


@dataclasses.dataclass(frozen=True)
class Unlabelled:
    """Where films without label maps are.

    Attributes:
      named: a folder, or LEFT_OUT.
      store: the experiment's data.
      chosen: ids of its train films whose label maps are used.
    """

    named: str
    store: PairStore
    chosen: tuple[str, ...]

    @property
    def others(self) -> list[str]:
        """Ids of the train films that were not chosen."""
        return sorted(set(self.store.ids("train")) - set(self.chosen))

    def settings(self) -> list[str] | str:
        """What decides which films these are, and what they show.

        Raises UserError where there are none, and for films of a folder that have the ids of test films.
        """
        if self.named != LEFT_OUT:
            tested = sorted(set(find_films([self.named])[0]) & set(self.store.ids("test")))
            if tested:
                raise UserError(f"--unlabelled={self.named}: found {describe_ids(tested)}, which are ids of test "
                                "films, expected no film that is tested on; take them out, or rename what is "
                                "another film")
            return _digest(self.named)
        if not self.others:
            raise UserError(f"--unlabelled={LEFT_OUT}: found no train film besides the {len(self.chosen)} chosen "
                            f"ones; choose fewer, or name a folder of films (one called {LEFT_OUT}: ./{LEFT_OUT})")
        return self.others

    def write(self, path: pathlib.Path, size: int, label: Callable[[np.ndarray], np.ndarray]) -> None:
        """Writes all films with their label maps as train pairs of a pair folder of side `size`.

        Args:
          label: film uint8 [size, size] or [size, size, 3] -> codes [size, size] of the store's classes.
        """
        done = path / "complete.json"
        if done.is_file():
            return
        real = self.store.description
        spacing = real.spacing_mm if self.named == LEFT_OUT else None
        description = real.renamed(", unlabelled", size=(size, size), max_value=255,
                                   spacing_mm=None if spacing is None else spacing * real.size[0] / size)
        with PairWriter(path, description) as writer:
            for id_, film in self._films(description):
                writer.add(Entry(id_, "train", _SOURCE), film, label(film))
        atomic_files.write_json(done, {"pairs": len(writer.entries)})

    def _films(self, description: Description) -> Iterator[tuple[str, np.ndarray]]:
        """Ids and films uint8 of the description's size and channel."""
        if self.named != LEFT_OUT:
            yield from _films_of_folder(self.named, description)
            return
        for done, id_ in enumerate(self.others, 1):
            film = self.store.image(id_)
            yield id_, film if film.shape[:2] == description.size else resize_film(film, description.size)
            show_progress("unlabelled films", done, len(self.others))


def labeller(run: str, config: SMANetConfig, classes: ClassTable,
             largest: Sequence[Sequence[str]] = ()) -> Callable[[np.ndarray], np.ndarray]:
    """Films uint8 [H, W] or [H, W, 3] -> codes of `classes` [H, W], by the segmenter of a run with that config; of
    the organs `largest` the largest piece alone is kept, as in `LoadedSegmenter`."""
    predict = probabilities_of(load_network(run))
    known = segmented_table(config, classes)
    organs = coded(largest, known.names)

    def label(film: np.ndarray) -> np.ndarray:
        found = sliding_window(predict, grey.to_network(film[None])[0], config.crop, config.overlap)
        codes = keep_largest(np.argmax(found, -1).astype(np.uint8), organs)
        return painted(codes, known, classes)

    return label


def painted(codes: np.ndarray, seen: ClassTable, classes: ClassTable) -> np.ndarray:
    """Codes [H, W] of a segmenter that knows the classes `seen` -> those of `classes`, which holds them all."""
    return np.array([classes.code(name) for name in seen.names], np.uint8)[codes]


def _films_of_folder(named: str, description: Description) -> Iterator[tuple[str, np.ndarray]]:
    """The films of a folder that can be read; lines about the others are said.

    Raises UserError where none can.
    """
    found, left_out = find_films([named])
    slices, unread = film_slices(found, "z")
    brightest, sources = 1, []  # read twice: how bright 16-bit films are that do not say is one number for all
    for name, path, part in slices:
        try:
            film = read_film(path, part)
        except UserError as error:
            unread.append(str(error))
            continue
        sources.append(OwnFolder(name, name, path, (), part=part))
        brightest = brightest if film.exact else max(brightest, int(film.pixels.max()))
    for line in [*([left_out] if left_out else []), *(f"left out: {line}" for line in unread)]:
        say(line)
    if not sources:
        raise UserError(f"--unlabelled={named}: found no film that can be read among {len(unread)}; see above")
    films = PairFilms(white_above(brightest))
    for done, source in enumerate(sources, 1):
        yield source.id, pad_square(films.read(source, description), description.size[0])
        show_progress("unlabelled films", done, len(sources))


@functools.cache  # a plan's tasks are made several times
def _digest(named: str) -> str:
    """Of the names and contents of a folder's films. Raises UserError where there are none."""
    digest = hashlib.sha256()
    for path in find_named([named]).files:
        name = path.name.encode(errors="surrogateescape")
        digest.update(name + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
