"""What the parts of a report need, so that it is said before an experiment's first step what its end will lack."""

from evaluation.metrics.sliced_wasserstein import SMALLEST_LEVEL
from evaluation.results.comparisons import LEAST_FILMS
from evaluation.synthetic.marked_copies import LEAST_TRAINING
from evaluation.synthetic.realism_report import LEAST_PAIRS

DIFFERENCES, REALISM, COPIES = "differences between columns", "realism and diversity", "copies"
GAN_TEST = "GAN-test"  # needs nothing that an experiment lacks but where its networks were taken away


def lacking(training: int, test: int, side: int, samples: int) -> dict[str, str]:
    """Part of the report that cannot be made -> what it needs.

    Args:
      training, test: real films, without augmented copies.
      side: of the pictures that the networks make, in pixels.
      samples: synthetic pairs of each method.
    """
    needs = {
        DIFFERENCES: (("test films", test, LEAST_FILMS),),
        REALISM: (("training films", training, LEAST_PAIRS), ("pixels on each side", side, SMALLEST_LEVEL),
                  ("synthetic pairs", samples, LEAST_PAIRS)),
        COPIES: (("training films", training, LEAST_TRAINING), ("synthetic pairs", samples, 1)),
    }
    return {part: ", ".join(f"{least} {what} (there {'is' if found == 1 else 'are'} {found})"
                            for what, found, least in asked if found < least)
            for part, asked in needs.items() if any(found < least for _, found, least in asked)}
