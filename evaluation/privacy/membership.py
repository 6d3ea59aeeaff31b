"""Membership inference: does a synthetic set tell which films it was made from?

The attacker has the set, and films of which some, the members, were in the training. Each attack gives every film
a score that is higher for those it takes for members; its area under the curve is the chance that a member scores
above another film, 0.5 for guessing.

- nearest distance: minus the distance to the nearest synthetic pair, by each kind of `evaluation.synthetic.copies`
  (Chen et al. 2020, GAN-Leaks), and by the mean rank of all kinds;
- ratio: the same over the distance to the nearest real film of another patient, as in the distance to the closest
  record of tabular data, so that a film like many others is no suspect;
- segmenter: minus the mean cross-entropy of a segmenter that was trained on the synthetic pairs alone
  (Yeom et al. 2018), and its mean J.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from datasets.class_table import ClassTable
from evaluation.privacy.figures import auc
from evaluation.synthetic.copies import KINDS, CopyCheck
from evaluation.synthetic.image_sets import ImageSet

TOGETHER = "all kinds"
NEAREST, RATIO, SEGMENTER = "nearest distance", "ratio", "segmenter"
_CHUNK = 256

Scores = Mapping[tuple[str, str], np.ndarray]  # (attack, kind) -> a score for each film


def distance_scores(films: ImageSet, synthetic: Callable[[int, int], ImageSet], parts: Mapping[str, np.ndarray],
                    classes: ClassTable, progress: Callable[[str, int, int], None]) -> dict[str, Scores]:
    """Scores of the distance attacks on each of `films`, by each part of the synthetic pairs.

    Args:
      films: members and others, un-augmented, at least 3.
      synthetic: from, to -> these of the synthetic pairs.
      parts: name -> which pairs are in that part, bool [pairs].
    """
    check = CopyCheck.calibrate(films, None, classes)
    nearest = {(part, kind): np.full(len(films), np.inf) for part in parts for kind in KINDS}
    count = len(next(iter(parts.values())))
    for start in range(0, count, _CHUNK):
        progress("synthetic pairs compared", start, count)
        pairs = synthetic(start, min(start + _CHUNK, count))
        for kind, (distances, _) in check.distances(pairs).items():
            for part, chosen in parts.items():
                rows = distances[chosen[start:start + _CHUNK]]
                nearest[part, kind] = np.minimum(nearest[part, kind], rows.min(0, initial=np.inf))
    progress("synthetic pairs compared", count, count)
    return {part: _scores({kind: nearest[part, kind] for kind in KINDS}, check.reference) for part in parts}


def _scores(nearest: Mapping[str, np.ndarray], reference: Mapping[str, np.ndarray]) -> Scores:
    found = {(NEAREST, kind): -nearest[kind] for kind in KINDS}
    found |= {(RATIO, kind): -nearest[kind] / np.maximum(reference[kind], 1e-6) for kind in KINDS}
    for attack in (NEAREST, RATIO):
        found[attack, TOGETHER] = np.mean([stats.rankdata(found[attack, kind]) for kind in KINDS], 0)
    return found


def segmenter_scores(probabilities: Callable[[np.ndarray], np.ndarray], films: np.ndarray, labels: np.ndarray,
                     ignored: int | None = None) -> Scores:
    """Scores of the segmenter's attacks on each film.

    Args:
      probabilities: film uint8 [H, W] or [H, W, 3] -> probabilities [H, W, K].
      labels: uint8 [N, H, W], codes below K.
      ignored: a code of pixels that do not count.
    """
    losses, overlaps = [], []
    for film, label in zip(films, labels, strict=True):
        found, known = np.asarray(probabilities(film)), label != (-1 if ignored is None else ignored)
        codes, true = found.argmax(-1)[known], label[known]
        right = np.take_along_axis(found[known], true[:, None].astype(int), 1)
        losses.append(-np.log(np.maximum(right, 1e-7)).mean())
        shown = [code for code in range(1, found.shape[-1]) if (true == code).any()]
        counts = [(((codes == code) & (true == code)).sum(), ((codes == code) | (true == code)).sum())
                  for code in shown]
        overlaps.append(np.mean([both / either for both, either in counts] or [0.0]))
    return {(SEGMENTER, "cross-entropy"): -np.array(losses), (SEGMENTER, "mean J"): np.array(overlaps)}


def attack_table(scores: Mapping[str, Scores], member: Sequence[bool]) -> pd.DataFrame:
    """A row for each set and attack: set, attack, kind, auc, low, high (DeLong's 95 % interval).

    Args:
      scores: name of the synthetic set -> scores of the films.
      member: bool for each film.
    """
    inside = np.asarray(member, bool)
    rows = [{"set": name, "attack": attack, "kind": kind,
             **dict(zip(("auc", "low", "high"), auc(values[inside], values[~inside]), strict=True))}
            for name, found in scores.items() for (attack, kind), values in found.items()]
    return pd.DataFrame(rows)
