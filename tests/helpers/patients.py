"""Stores whose films are known to be of one patient."""

import dataclasses
from collections.abc import Mapping

from datasets.pair_store import PairStore, PairWriter


def with_patients(store: PairStore, patients: Mapping[str, str]) -> PairStore:
    """The store itself, with these patients in its manifest."""
    with PairWriter(store.path, store.description) as writer:
        writer.entries = {entry.id: dataclasses.replace(entry, patient=patients.get(entry.id, ""))
                          for entry in store.entries}
    return PairStore(store.path)
