"""Whose films are whose, as far as the manifest says: for what is measured on patients that nothing has seen."""

from collections.abc import Sequence

import numpy as np

from datasets.pair_store import PairStore, film_names


def patients(store: PairStore, ids: Sequence[str]) -> list[str]:
    """Whose each pair is, see `Entry.patient`; "" where nobody says."""
    known = {entry.id: entry.patient for entry in store.entries}
    return [known[id_] for id_ in ids]


def same_patient(names: Sequence[str]) -> np.ndarray:
    """Which pairs of these `patients` are known to be of one, each with itself: bool [N, N]."""
    whose = np.array(names, dtype=str)
    return (whose[:, None] == whose) & (whose != "") | np.eye(len(whose), dtype=bool)


def without_patients_of(store: PairStore, ids: Sequence[str], used: PairStore,
                        used_ids: Sequence[str]) -> tuple[list[str], int]:
    """Those of `ids` that neither show a film of `used_ids` nor are of a patient of theirs, and how many show
    another film of such a patient. Either store may be the one that says whose the films used are."""
    films = set(film_names(used, used_ids))
    theirs = {entry.patient for entry in store.entries if entry.film in films} | set(patients(used, used_ids))
    others = [id_ for id_, film in zip(ids, film_names(store, ids), strict=True) if film not in films]
    kept = [id_ for id_, patient in zip(others, patients(store, others), strict=True)
            if patient not in theirs - {""}]
    return kept, len(others) - len(kept)
