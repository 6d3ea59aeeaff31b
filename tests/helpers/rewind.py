"""A trainer put back to where it stood, so that one compiled step serves several beginnings."""

from collections.abc import Callable

from training.loop import Trainer


def rewinder(trainer: Trainer) -> Callable[[], None]:
    """Call what is returned to give all variables of `trainer` the values they have now."""
    variables = [variable for part in trainer.trackables().values() for variable in part.variables]
    values = [variable.numpy().copy() for variable in variables]

    def rewind() -> None:
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)

    return rewind
