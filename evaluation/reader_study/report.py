"""What the readers preferred: answer files joined with the key, as tables.

Preferences per reader, of all answers together and by majority; a sign test of each; agreement between readers;
comments film by film. Answers of several readers to one film are not independent, so the test over all answers
is too sure of itself; the row of majorities counts every film once.
"""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from datasets.common import atomic_files
from datasets.common.errors import UserError
from datasets.common.litter import why_litter
from datasets.common.progress import say as say_line
from evaluation.reader_study.key import GOLD, NONE, PREDICTION, Answers, Key, TruthKey, read_answers, read_key
from evaluation.results import safe_text

ALL, MAJORITY = "All answers", "By majority"
_HEADINGS = {"reader": "Reader", "films": "Films", "prediction": "Prediction", "gold": "Gold", "none": "None",
             "share": "Prediction, %", "p": "p"}

_COMMENT_HEADINGS = {"id": "Film", "mean_j": "Mean J", "first": "Outline 1", "reader": "Reader",
                     "preference": "Preferred", "comment": "Comment"}


@dataclasses.dataclass(frozen=True)
class ReaderReport:
    """Tables of one study.

    Attributes:
      title: what was compared.
      answers: a row per reader and film, the hardest film first: id, mean_j, first (what outline 1 was), reader,
        choice, preference, comment; choice and preference are missing where a film was not answered.
      preferences: a row per reader, then ALL, then MAJORITY where there are several readers: reader, films
        answered, prediction, gold, none; share of the predictions among the preferences, its 95 % interval
        (low, high; fractions of 1) and p of the sign test.
      kappa: Fleiss' kappa over prediction, gold and no preference; NaN with one reader.
      kappa_films: films that every reader answered; kappa counts these.
    """

    title: str
    answers: pd.DataFrame
    preferences: pd.DataFrame
    kappa: float
    kappa_films: int

    @property
    def comments(self) -> pd.DataFrame:
        """A row per comment: id, mean_j, first, reader, preference, comment."""
        return self.answers.loc[self.answers.comment != "", list(_COMMENT_HEADINGS)]

    def agreement(self) -> str:
        """Kappa in a sentence."""
        return agreement(self.answers.reader.nunique(), self.kappa, self.kappa_films)

    def to_markdown(self) -> str:
        """All tables; texts of readers appear literally."""
        comments = _comment_cells(self.comments).rename(columns=_COMMENT_HEADINGS)
        parts = [f"# Reader study: {safe_text.markdown(self.title)}",
                 markdown_table(_preference_cells(self.preferences)),
                 self.agreement(),
                 "Prediction, %: its share among the answers with a preference, exact 95 % interval; p: two-sided "
                 "sign test. Answers of several readers to one film are not independent; majorities are.",
                 "## Comments",
                 markdown_table(comments) if len(comments) else "None."]
        return "\n\n".join(parts) + "\n"


def agreement(readers: int, kappa: float, films: int) -> str:
    """Fleiss' kappa over the films that all readers answered, in a sentence."""
    if readers < 2:
        return "Agreement between readers: only one reader."
    value = "undefined" if pd.isna(kappa) else f"{kappa:.3f}"
    return f"Agreement between {readers} readers: Fleiss' kappa {value} over {films} films that all answered."


def read_study(key: str | os.PathLike, answers: Sequence[str | os.PathLike],
               say: Callable[[str], None] = say_line) -> tuple[Key | TruthKey, list[Answers]]:
    """The key and the answers of each file; a folder stands for the .json files in it, hidden ones left out.

    Raises UserError for a file that is not an answer to this study, and for two files of one reader.
    """
    study = read_key(key)
    paths = _answer_files(answers, say)
    if not paths:
        raise UserError(f"{', '.join(map(str, answers)) or '--answers'}: found no answer files; expected .json "
                        "files saved from the page")
    readers: dict[str, pathlib.Path] = {}
    found = []
    for path in paths:
        given = read_answers(path, study)
        first = readers.setdefault(given.reader.casefold(), path)  # "Anna" and "anna" are one reader
        if first != path:
            raise UserError(f"{path}: a second file of the reader in {first}; keep the later one, or name the "
                            "readers differently")
        found.append(given)
    return study, found


def _answer_files(answers: Sequence[str | os.PathLike], say: Callable[[str], None]) -> list[pathlib.Path]:
    """Each file once. Says how many hidden ones of folders, such as macOS leaves beside others, are left out."""
    paths: dict[pathlib.Path, None] = {}
    hidden = 0
    for path in map(pathlib.Path, answers):
        found = sorted(path.glob("*.json")) if path.is_dir() else [path]
        kept = [file for file in found if file == path or not why_litter(file.name)]
        paths.update(dict.fromkeys(file.resolve() for file in kept))
        hidden += len(found) - len(kept)
    if hidden:
        say(f"left out: {hidden} hidden .json file{'s'[:hidden != 1]}")
    return list(paths)


def make_report(key: Key, answers: Sequence[Answers]) -> ReaderReport:
    """Joins answers and key."""
    rows = [(film.id, film.mean_j, film.first, given.reader, answer.choice,
             None if answer.choice is None else film.preference(answer.choice), answer.comment)
            for given in answers for film, answer in zip(key.films, given.answers, strict=True)]
    columns = ["id", "mean_j", "first", "reader", "choice", "preference", "comment"]
    joined = pd.DataFrame(rows, columns=columns)
    # Int64 may miss values
    joined = joined.astype({"choice": "Int64"}).sort_values(["mean_j", "id", "reader"], ignore_index=True)
    names = [given.reader for given in answers]
    # Answers per film: a row per film with any.
    votes = pd.crosstab(joined.id, joined.preference).reindex(columns=[PREDICTION, GOLD, NONE], fill_value=0)
    tallies = [_tally(name, joined[joined.reader == name].preference) for name in names]
    tallies.append(_tally(ALL, joined.preference))
    whole = votes[votes.sum(axis=1) == len(names)]  # films that all answered
    if len(names) > 1:
        tallies.append(_tally(MAJORITY, votes.apply(_majority, axis=1)))
    kappa = fleiss_kappa(whole.to_numpy()) if len(names) > 1 else float("nan")
    return ReaderReport(key.title, joined, pd.DataFrame(tallies), kappa, len(whole))


def write_reader_report(report: ReaderReport, out: str | os.PathLike) -> None:
    """Writes reader_study.md, preferences.csv/.tex, comments.csv/.tex and answers.csv to `out`."""
    out = atomic_files.make_folder(out)
    atomic_files.write_text(out / "reader_study.md", report.to_markdown())
    for name in ("preferences", "comments", "answers"):
        texts = getattr(report, name).map(lambda cell: safe_text.csv_cell(cell) if isinstance(cell, str) else cell)
        atomic_files.write_text(out / f"{name}.csv", texts.to_csv(index=False))
    caption = f"Readers' preferences: {report.title}. {report.agreement()}"
    atomic_files.write_text(out / "preferences.tex", latex_table(
        _preference_cells(report.preferences), "lrrrrlr", caption, "tab:preferences", environment="table"))
    atomic_files.write_text(out / "comments.tex", latex_table(
        _signed_comments(report.comments), r"lrlp{0.45\textwidth}", f"Readers' comments: {report.title}.",
        "tab:comments", environment="longtable"))


def _majority(votes: pd.Series) -> str:
    if votes[PREDICTION] == votes[GOLD]:
        return NONE
    return PREDICTION if votes[PREDICTION] > votes[GOLD] else GOLD


def _tally(reader: str, preferences: pd.Series) -> dict[str, float | str]:
    wins, losses, ties = ((preferences == kind).sum() for kind in (PREDICTION, GOLD, NONE))
    return {"reader": reader, "films": int(wins + losses + ties), "prediction": int(wins), "gold": int(losses),
            "none": int(ties), **sign_test(int(wins), int(losses))}


def _preference_cells(table: pd.DataFrame) -> pd.DataFrame:
    """The table as text, with headings."""
    cells = table.astype(object).map(str)
    cells["share"] = [_share(row) for row in table.itertuples()]
    cells["p"] = ["–" if pd.isna(p) else "< 0.001" if p < 0.001 else f"{p:.3f}" for p in table.p]
    return cells[list(_HEADINGS)].rename(columns=_HEADINGS)


def _share(row) -> str:
    if pd.isna(row.share):
        return "–"
    return f"{100 * row.share:.1f} ({100 * row.low:.1f}–{100 * row.high:.1f})"


def _comment_cells(comments: pd.DataFrame) -> pd.DataFrame:
    cells = comments.fillna({"preference": "not answered"})
    return cells.assign(mean_j=[f"{100 * j:.2f}" for j in comments.mean_j])


def _signed_comments(comments: pd.DataFrame) -> pd.DataFrame:
    """Reader, preference and comment in one cell, since a page's width holds no six columns."""
    cells = _comment_cells(comments)
    signed = [f"{row.reader} ({row.preference}): {row.comment}" for row in cells.itertuples()]
    return cells[["id", "mean_j", "first"]].assign(comment=signed).rename(columns=_COMMENT_HEADINGS)


def markdown_table(cells: pd.DataFrame) -> str:
    rows = [map(safe_text.markdown, row) for row in cells.itertuples(index=False)]
    lines = [list(cells.columns), ["---"] * cells.shape[1], *map(list, rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def latex_table(cells: pd.DataFrame, columns: str, caption: str, label: str, environment: str) -> str:
    """A `table` for booktabs, or a `longtable`, which goes on over pages."""
    floating = {"position": "tbp", "position_float": "centering"} if environment == "table" else {}
    return cells.map(safe_text.latex).rename(columns=safe_text.latex).style.hide(axis="index").to_latex(
        column_format=columns, hrules=True, caption=safe_text.latex(caption), label=label, environment=environment,
        **floating)


def sign_test(wins: int, losses: int) -> dict[str, float]:
    """Exact two-sided sign test that wins and losses are equally likely; ties are left out beforehand.

    Returns share (wins / both), low and high (its exact 95 % interval) and p; all NaN where there is neither.
    """
    if wins + losses == 0:
        return dict.fromkeys(("share", "low", "high", "p"), float("nan"))
    test = binomtest(wins, wins + losses)
    interval = test.proportion_ci(0.95, method="exact")
    return {"share": wins / (wins + losses), "low": float(interval.low), "high": float(interval.high),
            "p": float(test.pvalue)}


def fleiss_kappa(counts: np.ndarray) -> float:
    """Agreement of several raters beyond chance (Fleiss 1971, equations 1 to 7): 1 whole, 0 as by chance.

    Args:
      counts: [items, categories], how many raters put an item into a category; the same number of raters, at
        least two, for every item.

    Returns NaN where it is undefined: no items, or all answers in one category. Raises ValueError for counts of
    unequal sums.
    """
    counts = np.asarray(counts, np.float64)
    if len(counts) == 0:
        return float("nan")
    raters = counts[0].sum()
    if raters < 2 or not np.all(counts.sum(1) == raters):
        raise ValueError(f"expected two or more raters, as many for every item; received {counts.sum(1)}")
    by_chance = np.square(counts.sum(0) / counts.sum()).sum()  # equation 5: P_e
    # Equations 2 and 3: mean P_i.
    observed = np.mean((np.square(counts).sum(1) - raters) / (raters * (raters - 1)))
    return float((observed - by_chance) / (1 - by_chance)) if by_chance < 1 else float("nan")  # equation 7
