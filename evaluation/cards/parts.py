"""What dataset cards and model cards have in common: the YAML head, tables, citations."""

import json
import re
from collections.abc import Mapping, Sequence

from evaluation.results import safe_text

FILL_IN = "FILL-IN"  # in place of a licence that nobody chose; the Hub refuses it
LICENSE = re.compile(r"[a-z0-9][a-z0-9.-]{1,40}")  # as the Hub spells them: cc-by-4.0
_PLAIN = re.compile(r"[A-Za-z][\w.-]*")  # a YAML scalar that needs no quotes
_WORDS = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}  # that YAML takes for something else

PAPER = """@article{ciano2021multistage,
  title   = {A Multi-Stage {GAN} for Multi-Organ Chest {X}-ray Image Generation and Segmentation},
  author  = {Ciano, Giorgio and Andreini, Paolo and Mazzierli, Tommaso and Bianchini, Monica and
             Scarselli, Franco},
  journal = {Mathematics},
  volume  = {9},
  number  = {22},
  pages   = {2896},
  year    = {2021},
  doi     = {10.3390/math9222896}
}"""


def head(facts: Mapping[str, str | bool | Sequence[str]]) -> str:
    """YAML between two lines of dashes; values are texts, truth values, or lists of texts."""
    lines = ["---"]
    for key, value in facts.items():
        if isinstance(value, bool):
            lines.append(f"{key}: {str(value).lower()}")
        elif isinstance(value, str):
            lines.append(f"{key}: {_scalar(value)}")
        else:
            lines += [f"{key}:", *(f"- {_scalar(item)}" for item in value)]
    return "\n".join([*lines, "---"])


def _scalar(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    quoted = json.dumps(text, ensure_ascii=False)  # YAML's too, where all in them is printable
    return "".join(char if char.isprintable() else f"\\U{ord(char):08x}" for char in quoted)


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table of cells in Markdown; see `literal` for texts of others."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def literal(text: str) -> str:
    """`text` as Markdown shows it as it is: as code where that can hold it, which reads well in the file too."""
    plain = text.isprintable() and not set(text) & set("`|<>") and text == text.strip() != ""
    return f"`{text}`" if plain else safe_text.markdown(text)


def citation(version: Mapping[str, str]) -> str:
    """BibTeX of the paper and of this software; the software's entry names no person.

    Args:
      version: as `tools.version.code_version` gives it.
    """
    commit = version.get("commit", "")
    note = f"commit {commit}" if commit else f"code digest {version.get('project', 'unknown')}"
    software = ("@misc{multistagegan,\n  key   = {multi-stage GAN software},\n"
                "  title = {A labelled image set from a handful of labelled images, in stages},\n"
                f"  note  = {{{note}, Apache-2.0}}\n}}")
    return f"```bibtex\n{PAPER}\n\n{software}\n```"
