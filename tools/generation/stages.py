"""Which run folders a method is made of, and what made them."""

# method -> the run folders it is made of, first stage first; "shape" and "warp" draw label maps without a network
STAGES = {
    "single": ("pairs",),
    "two": ("labels", "labels_to_film"),
    "three": ("dots", "dots_to_labels", "labels_to_film"),
    "shape": ("labels_to_film",),
    "warp": ("labels_to_film",),
}
# stage -> what its run's product.json says: the trainer, and the option that tells what it makes
MADE_BY = {
    "pairs": {"task": "train_pggan", "target": "pairs"},
    "labels": {"task": "train_pggan", "target": "labels"},
    "dots": {"task": "train_pggan", "target": "dots"},
    "dots_to_labels": {"task": "train_pix2pixhd", "translate_from": "dots"},
    "labels_to_film": {"task": "train_pix2pixhd", "translate_from": "labels"},
}
# stage -> what else a method needs of it
NEEDED = {
    "pairs": ("size", "coding"),
    "labels": ("size", "coding"),
    "dots": ("size", "coding", "dot"),
    "dots_to_labels": ("size", "coding", "dot", "phase"),
    "labels_to_film": ("size", "num_classes", "phase"),
}


def command_line(made_by: dict[str, str | None]) -> str:
    """The command of a run by its product.json's task and option: "train_pggan --target=dots"."""
    options = [f"--{name}={value}" for name, value in made_by.items() if name != "task"]
    return " ".join([str(made_by["task"]), *options])
