"""Readers tell real films from synthetic ones: the page, its key, and what they were right in.

Half of the films are real ones that no network saw, half are synthetic, in an order drawn by seed. Page and script
are those of the study of outlines; names are neutral, pictures hold pixels alone and are of one size.
"""

import dataclasses
import os
import pathlib
import random
import secrets
from collections.abc import Sequence

import pandas as pd

from datasets.common import atomic_files
from datasets.common.errors import UserError
from datasets.common.progress import say
from datasets.pair_store import PairStore
from evaluation.reader_study.key import FORMAT, REAL, SYNTHETIC, Answers, TruthFilm, TruthKey
from evaluation.reader_study.page import REALISM, PageFilm, make_page
from evaluation.reader_study.report import (
    ALL,
    MAJORITY,
    agreement,
    fleiss_kappa,
    latex_table,
    markdown_table,
    sign_test,
)
from evaluation.reader_study.study import study_name, write_page_and_key
from evaluation.results import safe_text
from evaluation.synthetic.image_sets import check_same_classes
from evaluation.synthetic.marked_copies import read_marks

_HEADINGS = {"reader": "Reader", "films": "Films", "correct": "Right", "accuracy": "Accuracy, %",
             "sensitivity": "Synthetic found, %", "specificity": "Real found, %", "p": "p"}


def write_realism_study(real: PairStore, synthetic: PairStore, count: int, out: str | os.PathLike, title: str,
                        seed: int | None = None, side: int = 768) -> TruthKey:
    """Writes for-readers/reader-study.html and keep/key.json to `out`: `count` films, half of them real.

    Args:
      real: its un-augmented test films are drawn from.
      synthetic: all its pairs, but for those that are marked as copies of a training film; where none are marked
        by the present check, a line says so.
      title: what is compared, for the report; it is not in the page.
      seed: of the draw and the order; None draws one that nobody can guess. It is kept in the key.
      side: films larger than this are shown reduced to it, in pixels.

    Raises UserError for an odd count, too few films, stores that differ in size, channels or classes, and rather
    than overwrite the key of another study.
    """
    seed = secrets.randbits(64) if seed is None else seed
    check_same_classes(real, synthetic)
    if tuple(real.description.size) != tuple(synthetic.description.size):
        sizes = synthetic.description.size[1], real.description.size[1]
        raise UserError(f"{synthetic.path}: has pictures of {sizes[0]} pixels, but {real.path} of {sizes[1]}, "
                        "which tells them apart; give films of one size")
    marked = read_marks(synthetic)
    if marked is None:
        say(f"{synthetic.path}: its pairs are not marked, so copies of training films may be among those shown; "
            "evaluation.evaluate_memorization --mark marks them")
    copies = set(marked[0]["id"][marked[0]["copy"]]) if marked else set()
    pools = {REAL: real.films("test"), SYNTHETIC: [id_ for id_ in synthetic.ids() if id_ not in copies]}
    stores, draw = {REAL: real, SYNTHETIC: synthetic}, random.Random(seed)
    if count % 2 or min(map(len, pools.values())) < count // 2:
        raise UserError(f"--films={count}: found {len(pools[REAL])} real test films in {real.path} and "
                        f"{len(pools[SYNTHETIC])} synthetic ones in {synthetic.path}; expected an even "
                        "number, and half of it of each")
    drawn = [(truth, id_) for truth, ids in pools.items() for id_ in draw.sample(sorted(ids), count // 2)]
    draw.shuffle(drawn)
    names = [f"F{number:02}" for number in range(1, count + 1)]
    pages = [PageFilm(name, stores[truth].image(id_), (), side)
             for name, (truth, id_) in zip(names, drawn, strict=True)]
    study = study_name(pages)
    key = TruthKey(FORMAT, study, seed, title, tuple(TruthFilm(name, id_, truth)
                                                     for name, (truth, id_) in zip(names, drawn, strict=True)))
    write_page_and_key(pathlib.Path(out), make_page(study, (), pages, REALISM), key)
    return key


@dataclasses.dataclass(frozen=True)
class RealismAnswers:
    """What readers made of one study.

    Attributes:
      title: what was compared.
      answers: a row per reader and film: id, truth, reader, said (missing where not answered), right, comment.
      scores: a row per reader, then ALL, then MAJORITY where there are several: reader, films answered, correct;
        accuracy with its exact 95 % interval (low, high) and p of guessing as well by chance (two-sided binomial
        test); sensitivity (synthetic films found) and specificity (real ones found); fractions of 1, NaN of none.
      kappa: Fleiss' kappa of what was said; NaN with one reader.
      kappa_films: films that every reader answered; kappa counts these.
    """

    title: str
    answers: pd.DataFrame
    scores: pd.DataFrame
    kappa: float
    kappa_films: int

    def agreement(self) -> str:
        """Kappa in a sentence."""
        return agreement(self.answers.reader.nunique(), self.kappa, self.kappa_films)

    def to_markdown(self) -> str:
        """All tables; texts of readers appear literally."""
        comments = self.answers.loc[self.answers.comment != "", ["id", "truth", "said", "reader", "comment"]]
        comments = comments.fillna({"said": "not answered"})
        return "\n\n".join([
            f"# Reader study, real or synthetic: {safe_text.markdown(self.title)}",
            markdown_table(_score_cells(self.scores)), self.agreement(),
            "Accuracy with its exact 95 % interval; p: two-sided binomial test against guessing (50 %). Answers "
            "of several readers to one film are not independent, so the row of all answers is too sure of itself; "
            "majorities count every film once, films without one not at all.",
            "## Comments", markdown_table(comments) if len(comments) else "None."]) + "\n"


def realism_answers(key: TruthKey, answers: Sequence[Answers]) -> RealismAnswers:
    """Joins answers and key."""
    words = {1: REAL, 2: SYNTHETIC, None: None}
    rows = [(film.id, film.truth, given.reader, words[answer.choice], answer.comment)
            for given in answers for film, answer in zip(key.films, given.answers, strict=True)]
    joined = pd.DataFrame(rows, columns=["id", "truth", "reader", "said", "comment"])
    joined.insert(4, "right", joined.said.eq(joined.truth).where(joined.said.notna()))
    joined = joined.sort_values(["truth", "id", "reader"], ignore_index=True)
    names = [given.reader for given in answers]
    scores = [_score(name, joined[joined.reader == name]) for name in names] + [_score(ALL, joined)]
    # An id may be in both sets: a film is truth and id.
    votes = pd.crosstab([joined.truth, joined.id], joined.said).reindex(columns=[REAL, SYNTHETIC], fill_value=0)
    if len(names) > 1:
        decided = votes[votes[REAL] != votes[SYNTHETIC]]
        majority = pd.DataFrame({"truth": decided.index.get_level_values("truth"),
                                 "said": decided.idxmax(axis=1).to_numpy()})
        scores.append(_score(MAJORITY, majority))
    whole = votes[votes.sum(axis=1) == len(names)]
    kappa = fleiss_kappa(whole.to_numpy()) if len(names) > 1 else float("nan")
    return RealismAnswers(key.title, joined, pd.DataFrame(scores), kappa, len(whole))


def write_realism_answers(found: RealismAnswers, out: str | os.PathLike) -> None:
    """Writes reader_study.md, scores.csv/.tex and answers.csv to `out`."""
    out = atomic_files.make_folder(out)
    atomic_files.write_text(out / "reader_study.md", found.to_markdown())
    for name, table in (("scores", found.scores), ("answers", found.answers)):
        texts = table.map(lambda cell: safe_text.csv_cell(cell) if isinstance(cell, str) else cell)
        atomic_files.write_text(out / f"{name}.csv", texts.to_csv(index=False))
    atomic_files.write_text(out / "scores.tex", latex_table(
        _score_cells(found.scores), "lrrlrrr", f"Real or synthetic: {found.title}. {found.agreement()}",
        "tab:realism", environment="table"))


def _score(reader: str, answers: pd.DataFrame) -> dict[str, float | str]:
    answered = answers[answers.said.notna()]
    right = answered.said == answered.truth
    test = sign_test(int(right.sum()), int((~right).sum()))
    found = {truth: right[answered.truth == truth].mean() for truth in (SYNTHETIC, REAL)}
    return {"reader": reader, "films": len(answered), "correct": int(right.sum()), "accuracy": test["share"],
            "low": test["low"], "high": test["high"], "sensitivity": float(found[SYNTHETIC]),
            "specificity": float(found[REAL]), "p": test["p"]}


def _score_cells(scores: pd.DataFrame) -> pd.DataFrame:
    """The table as text, with headings."""
    cells = scores.astype(object).map(str)
    cells["accuracy"] = ["–" if pd.isna(row.accuracy) else
                         f"{100 * row.accuracy:.1f} ({100 * row.low:.1f}–{100 * row.high:.1f})"
                         for row in scores.itertuples()]
    for name in ("sensitivity", "specificity"):
        cells[name] = ["–" if pd.isna(value) else f"{100 * value:.1f}" for value in scores[name]]
    cells["p"] = ["–" if pd.isna(p) else "< 0.001" if p < 0.001 else f"{p:.3f}" for p in scores.p]
    return cells[list(_HEADINGS)].rename(columns=_HEADINGS)
