"""What `tools.benchmark` measures, as plain facts: neither TensorFlow nor PyTorch is needed to read them.

Items are sized like the released networks, at the sizes of the paper (preset `paper`) or smaller; compare figures
of one machine only.
"""

import dataclasses

CLASSES = 6  # of label maps and dots: the background and five organs, as JSRT
ORGANS = 4  # of the segmenter: the background and the organs that tables score
WITHOUT_PEER = ("segmenter_batch", "sliding_window")  # kinds of work that PyTorch is not measured at
CROP, FILM = 377, 512  # the segmenter's crops, and the films they are cut from


@dataclasses.dataclass(frozen=True)
class Item:
    """Something to measure.

    Attributes:
      kind: how it is built; a key of the builders in `tools.speed.ours` and, where PyTorch has it, in
        `tools.speed.torch_work`.
      size: side of its pictures in pixels.
      images: pictures per step.
      options: of the kind.
      quick: whether it is measured unless others are named.
    """

    kind: str
    size: int
    images: int
    options: dict = dataclasses.field(default_factory=dict)
    quick: bool = False

    def shrunk(self, factor: int) -> "Item":
        """The same with sides and pictures per step divided by `factor`, to try a run out; of several pictures two
        are left, since batch norm in training takes more than one value."""
        return dataclasses.replace(self, size=self.size // factor,
                                   images=max(min(2, self.images), self.images // factor))


ITEMS = {
    # PGGAN, full-grown.
    "pggan_dots_forward_64": Item("pggan_forward", 64, 32),
    "pggan_dots_step_64": Item("pggan_step", 64, 32),
    "pggan_labels_forward_1024": Item("pggan_forward", 1024, 4),
    "pggan_labels_step_1024": Item("pggan_step", 1024, 4),
    "pggan_pairs_forward_1024": Item("pggan_forward", 1024, 4, {"channels": 2}),
    "pggan_pairs_step_1024": Item("pggan_step", 1024, 4, {"channels": 2}),
    "pggan_step_64": Item("pggan_step", 64, 16, quick=True),
    "pggan_step_256": Item("pggan_step", 256, 4),
    # Pix2PixHD.
    "pix2pixhd_forward_256": Item("translator_forward", 256, 1, quick=True),
    "pix2pixhd_forward_512": Item("translator_forward", 512, 1),
    "dots_to_labels_forward_1024": Item("translator_forward", 1024, 1, {"channels": CLASSES}),
    "labels_to_film_forward_1024": Item("translator_forward", 1024, 1),
    "local_enhancer_forward_1024": Item("translator_forward", 1024, 1, {"network": "local"}),
    "pix2pixhd_step_256": Item("translator_step", 256, 1, {"num_D": 3}),  # the paper's number of scales
    "pix2pixhd_small_step_128": Item("translator_step", 128, 4, {"ngf": 16, "ndf": 16}, quick=True),
    "dots_to_labels_step_1024": Item("translator_step", 1024, 1, {"translate_from": "dots"}),
    "labels_to_film_step_1024": Item("translator_step", 1024, 1),
    "local_enhancer_step_1024": Item("translator_step", 1024, 1, {"network": "local", "ngf": 32}),
    # SMANet, and PSPNet in its place.
    "pspnet_forward_377": Item("segmenter_forward", CROP, 1, {"attention": "psp"}, quick=True),
    "pspnet_step_377": Item("segmenter_step", CROP, 4, {"attention": "psp"}),
    "smanet_forward_377": Item("segmenter_forward", CROP, 1),
    "smanet_step_377": Item("segmenter_step", CROP, 4),
    "smanet_step_17x377": Item("segmenter_step", CROP, 17),  # the paper's batch
    "segmenter_batch_17x377": Item("segmenter_batch", CROP, 17),
    "sliding_window_512": Item("sliding_window", FILM, 1),
    # Pairs of label map and film, drawn as `tools.generate` draws them.
    "single_stage_pair_1024": Item("pair", 1024, 1, {"method": "single"}),
    "two_stage_pair_1024": Item("pair", 1024, 1, {"method": "two"}),
    "three_stage_pair_1024": Item("pair", 1024, 1, {"method": "three"}),
}

GROUPS = {
    "all": tuple(ITEMS),
    "quick": tuple(name for name, item in ITEMS.items() if item.quick),
    "gpu": ("pggan_dots_step_64", "labels_to_film_step_1024", "smanet_step_17x377", "pggan_labels_step_1024",
            "labels_to_film_forward_1024", "three_stage_pair_1024"),
}
