"""Pair folders of elsewhere, on which segmenters are scored too: which of their classes are which of ours.

Classes of one name belong together, whatever its capitals. `lungs=left lung+right lung` says that their lungs are
our two lungs together, or our lungs theirs. All pairs of such a folder are scored, of whatever split.
"""

import dataclasses
import functools
import pathlib
import re
import unicodedata
from collections.abc import Mapping, Sequence

from datasets.class_table import ClassTable
from datasets.common.errors import UserError
from datasets.pair_store import PairStore, describe_ids

NAME = re.compile(r"[a-z0-9][a-z0-9_+-]*", re.IGNORECASE)  # a part of a folder's name
_OURS = ("test",)  # what our own films are called in tables

Unions = Mapping[str, tuple[str, ...]]  # class of one side -> classes of the other


@dataclasses.dataclass(frozen=True)
class External:
    """A pair folder of elsewhere.

    Attributes:
      path: of the folder.
      name: what it's called in folders and tables.
      unions: which classes belong together by other than their names.
    """

    path: str
    name: str
    unions: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def store(self) -> PairStore:
        return PairStore(self.path)

    @functools.cached_property
    def fingerprint(self) -> str:
        """Of the store; see `PairStore.fingerprint`."""
        return self.store().fingerprint()

    def regions(self, ours: ClassTable, scored: bool) -> dict[str, tuple[tuple[int, ...], tuple[int, ...]]]:
        """What is scored: name -> codes in our label maps, codes in theirs.

        Args:
          ours: of our label maps.
          scored: whether theirs are compared as `PairStore.scored_label` has them, else as `PairStore.label`.

        Raises UserError where a union names a class that there isn't, and where no class is common. A union whose
        parts both sides have, as where it is for another folder, is passed over: these count by their names.
        """
        theirs = self.table(scored)
        known, found = _by_name(ours), _by_name(theirs)
        regions = {name: (known[key], found[key]) for key, name in zip(found, theirs.regions, strict=True)
                   if key in known}
        for name, parts in self.unions:
            key, keys = _key(name), [_key(part) for part in parts]
            if key in found and all(part in known for part in keys):
                regions[name] = (_together(known, keys), found[key])
            elif key in known and all(part in found for part in keys):
                regions[name] = (known[key], _together(found, keys))
            elif not all(part in known and part in found for part in keys):  # else they are common by their names
                raise UserError(f"--external_classes={name}={'+'.join(parts)}: found classes "
                                f"{describe_ids(theirs.regions, 8)} in {self.path} and "
                                f"{describe_ids(ours.regions, 8)} here, expected a class of one of them = classes "
                                "of the other")
        if not regions:
            raise UserError(f"--external={self.path}: has classes {describe_ids(theirs.regions, 8)}, but ours are "
                            f"{describe_ids(ours.regions, 8)}; say which belong together, as "
                            "--external_classes='lungs=left lung+right lung'")
        return regions

    def table(self, scored: bool) -> ClassTable:
        """Of the folder's label maps, see `regions`."""
        return self.store().classes.segmented(scored)


def read_externals(folders: Sequence[str], unions: Sequence[str]) -> tuple[External, ...]:
    """The folders of --external=STORE[,NAME], each with those of --external_classes that are of its classes.

    Without a NAME the folder's own is taken. Raises UserError for what is no pair folder or holds no pair, for a
    name that stands there twice, and for unions that are none, or whose classes no folder has.
    """
    found: dict[str, External] = {}
    for text in folders:
        path, _, name = text.rpartition(",")
        path, name = (path, name.strip()) if path and not pathlib.Path(text).is_dir() else (text, "")
        store, name = PairStore(path), name or pathlib.Path(path).resolve().name
        if not store.ids():
            raise UserError(f"--external={text}: found no pair in {path}/manifest.csv, expected at least one")
        if not NAME.fullmatch(name) or name.casefold() in (*_OURS, *map(str.casefold, found)):
            raise UserError(f"--external={text}: found name {name!r}, expected one of letters, digits, '-', '_' "
                            f"and '+', each once and not {_OURS[0]}; give one, as --external={path},elsewhere")
        found[name] = External(path, name)
    return _with_unions(found.values(), _read_unions(unions))


def _with_unions(externals: Sequence[External], unions: Unions) -> tuple[External, ...]:
    """Each external with the unions in which any of its classes stands."""
    if unions and not externals:
        raise UserError(f"--external_classes={next(iter(unions))}=...: is for --external=STORE, found none")
    given, used = [], set()
    for external in externals:
        own = _by_name(external.store().classes)
        kept = {name: parts for name, parts in unions.items() if any(_key(part) in own for part in (name, *parts))}
        used |= kept.keys()
        given.append(dataclasses.replace(external, unions=tuple(kept.items())))
    for name, parts in unions.items():
        if name not in used:
            there = [region for external in given for region in external.store().classes.regions]
            raise UserError(f"--external_classes={name}={'+'.join(parts)}: found classes {describe_ids(there, 8)} "
                            "in the folders of --external, expected one of these on either side")
    return tuple(given)


def _read_unions(unions: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """`["lungs=left lung+right lung"]` -> {"lungs": ("left lung", "right lung")}."""
    found: dict[str, tuple[str, ...]] = {}
    for union in unions:
        name, equals, members = (part.strip() for part in union.partition("="))
        parts = tuple(member.strip() for member in members.split("+"))
        if not equals or not name or name in found or not all(parts) or len(set(parts)) != len(parts):
            raise UserError(f"--external_classes: found {union!r}, expected CLASS=CLASS+CLASS, each once, as "
                            "'lungs=left lung+right lung'")
        found[name] = parts
    return found


def _by_name(table: ClassTable) -> dict[str, tuple[int, ...]]:
    return {_key(name): codes for name, codes in table.regions.items()}


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _together(codes: Mapping[str, tuple[int, ...]], keys: Sequence[str]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(code for key in keys for code in codes[key]))
