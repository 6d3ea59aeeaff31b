"""Tables of single films without any film."""

import numpy as np
import pandas as pd

from evaluation.metrics.overlap import dice, jaccard

ORGANS = ("lung", "heart")


def film_table(counts, organs=ORGANS):
    """per_film rows from counts [films, organs, 3]."""
    index = pd.MultiIndex.from_product([[f"f{place:03d}" for place in range(len(counts))], organs],
                                       names=["film", "organ"])
    flat = np.asarray(counts).reshape(-1, 3)
    table = pd.DataFrame(flat, index, ["tp", "fp", "fn"])
    return table.assign(j=jaccard(flat), dsc=dice(flat)).reset_index()


def random_counts(seed, films=20, quality=0.8):
    """Counts of films of different sizes and difficulty."""
    rng = np.random.default_rng(seed)
    area = rng.integers(200, 2000, (films, len(ORGANS)))
    hits = (area * np.clip(rng.normal(quality, 0.08, area.shape), 0, 1)).astype(int)
    return np.stack([hits, (area - hits) // 2, (area - hits + 1) // 2], -1)
