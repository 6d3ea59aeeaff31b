"""The dataset card of a published synthetic set: README.md under a head as the Hub's dataset cards have it.

The head's keys and the size categories are those of huggingface/hub-docs, datasetcard.md.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from evaluation.cards.parts import citation, head, literal, table
from evaluation.results.safe_text import markdown
from evaluation.synthetic.fit_to_share import PANELS, THRESHOLDS, Figure, Threshold, reaching_beyond

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_ABOUT = {
    "fidelity": "How true the pairs are to the real training pairs. Distances fall as images are added: compare "
                "them with care.",
    "privacy": "How near the pairs come to the patients' films that the networks were trained on. Each pair is "
               "compared with all training films and their mirror images, by pixels, gradients, keypoints, organs "
               "and label maps; near is judged by the distances that new real films keep.",
    "utility": "What the set is good for: segmenters trained on it, scored on real films that no network saw.",
}


@dataclasses.dataclass(frozen=True)
class SetFacts:
    """What the card says of the set besides its figures.

    Attributes:
      name: of the set, for people.
      license: as the Hub spells it, or FILL_IN.
      data: name of the real data.
      films: number of real films the networks were trained on, without augmented copies.
      method: what made it, e.g. "three-stage", or "three-stage, recipe best".
      classes: names by code.
      size: height and width in pixels.
      channels: of the images.
      splits: split -> pairs.
      made: pairs before any was left out.
      left_out: reason -> how many were left out for it.
      calibration: what nearness was judged by.
      nnunet: folder of nnU-Net's format in the set.
      settings: part -> settings that decide it.
      made_by: version of the code that made the set, see `tools.version`; empty where it was not noted.
      version: of the code that published it.
      command: what published it.
    """

    name: str
    license: str
    data: str
    films: int
    method: str
    classes: Sequence[str]
    size: tuple[int, int]
    channels: int
    splits: Mapping[str, int]
    made: int
    left_out: Mapping[str, int]
    calibration: str
    nnunet: str
    settings: Mapping[str, Any]
    made_by: Mapping[str, str]
    version: Mapping[str, str]
    command: str


def dataset_card(facts: SetFacts, figures: Mapping[str, Figure], lacks: Sequence[str]) -> str:
    """The whole card; `lacks` are the lines of `fit_to_share.shortfalls`, none for a set that is fit to share."""
    count = sum(facts.splits.values())
    category = next((name for most, name in _SIZES if count < most), "n>1M")
    top = head({"license": facts.license, "task_categories": ["image-segmentation"], "pretty_name": facts.name,
                "size_categories": [category], "annotations_creators": ["machine-generated"],
                "tags": ["synthetic", "medical", "gan", "image-segmentation"], "viewer": False})
    verdict = _verdict(lacks, len(reaching_beyond(figures)))
    parts = [top, f"# {markdown(facts.name)}", verdict, _summary(facts, count), "## Files", _files(facts),
             "## Made from", _made_from(facts)]
    for panel in PANELS:
        parts += [f"## {panel.title()}", _ABOUT[panel], _panel(panel, figures)]
        parts += [_left_out(facts)] if panel == "privacy" else []
    parts += ["## Limits", _LIMITS, "## Intended use", _USE, "## Citation", citation(facts.version),
              "## Settings", _settings(facts)]
    return "\n\n".join(parts) + "\n"


def _verdict(lacks: Sequence[str], beyond: int) -> str:
    if not lacks:
        unsure = f"; the 95 % intervals of {beyond} of them reach beyond their thresholds" if beyond else ""
        return (f"**Fit to share by its figures**: all thresholds below are met by the values{unsure}. Whether it "
                "may be shared is for those who answer for the patients' data.")
    lines = "\n".join(f"- {line}" for line in lacks)
    return (f"**Not called fit to share.** Published all the same (`--anyway`); these figures miss their "
            f"thresholds:\n\n{lines}")


def _summary(facts: SetFacts, count: int) -> str:
    height, width = facts.size
    colour = "RGB" if facts.channels == 3 else "grey"
    splits = ", ".join(f"{number:,} {split}" for split, number in facts.splits.items())
    names = [markdown(name) for name in facts.classes]
    return (f"{count:,} synthetic pairs of image and label map ({splits}), {width} x {height} pixels, {colour}, "
            f"made by generative networks (method: {markdown(facts.method)}). No image is, pixel for pixel, one "
            "of the real training and test films. "
            f"Classes by code: {', '.join(f'{code} {name}' for code, name in enumerate(names))}.")


def _files(facts: SetFacts) -> str:
    rows = [("`pairs/`", "`images/ID.png`, `labels/ID.png` (class codes), `manifest.csv` (splits)"),
            (literal(f"{facts.nnunet}/"), "the same pairs in nnU-Net's format, version 2"),
            ("`sheets/random.png`", "pairs drawn at random: image, label map in colours"),
            ("`figures.json`", "all figures and thresholds of this card, settings and versions"),
            ("`SHA256SUMS`", "checksums of all files: `sha256sum -c SHA256SUMS`")]
    return table(("file", "what"), rows)


def _made_from(facts: SetFacts) -> str:
    return table(("", ""), [
        ("real data", markdown(facts.data)), ("training films", str(facts.films)),
        ("identifiers of patients", "none in this set: no names, ids or metadata of real films"),
        ("method", facts.method), ("pairs made", f"{facts.made:,}"),
        ("made by", _versions(facts.made_by) or "not noted"), ("published by", _versions(facts.version)),
        ("command", literal(facts.command))])


def _versions(version: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in version.items())


def _panel(panel: str, figures: Mapping[str, Figure]) -> str:
    rows = []
    for name, figure in figures.items():
        threshold = THRESHOLDS.get(name)
        if figure.panel == panel:
            wanted = threshold.wanted() if threshold and threshold.limit is not None else ""
            met = _met(threshold, figure) if wanted else ""
            title = figure.title if threshold else markdown(figure.title)
            title += f" ({markdown(figure.of)})" if figure.of else ""
            rows.append((title, figure.shown(), wanted, met))
    rows += [(threshold.title, "not measured", threshold.wanted(), "NO")
             for name, threshold in THRESHOLDS.items() if threshold.panel == panel and name not in figures]
    return table(("figure", "value", "threshold", "met"), rows)


def _met(threshold: Threshold, figure: Figure) -> str:
    if not threshold.met(figure.value):
        return "NO"
    return "yes" if threshold.borne_out(figure) else "yes; its interval reaches beyond"


def _left_out(facts: SetFacts) -> str:
    counts = "; ".join(f"{reason}: {count:,}" for reason, count in facts.left_out.items())
    return (f"Left out of the {facts.made:,} pairs as made: {counts}. Nearness was judged by "
            f"{markdown(facts.calibration)}. Intervals, where given, are of 95 %.")


def _settings(facts: SetFacts) -> str:
    return ("<details><summary>Settings of every stage</summary>\n\n```json\n"
            f"{json.dumps(facts.settings, indent=1, ensure_ascii=True)}\n```\n\n</details>")


_LIMITS = """\
- The pairs show what the networks learnt from few films of one source: rare findings, other devices and other
  populations are missing or distorted, and biases of the source are kept or made stronger.
- Label maps were made by networks and drawn by no reader: borders are as true as the networks are.
- The check finds clear copies of training films. That none is left is not proven, and thresholds met are no legal
  anonymity.
- Names that were burnt into training films may reappear as rectangles or marks without meaning."""

_USE = """\
Training, pre-training and testing of segmentation software, teaching, and studies of synthetic data. Not for
diagnosis, not for statistics of any population, and not as the only data on which a method is judged. Do not try
to find out whose films the networks saw."""
