"""Text of unknown origin as literal text in Markdown, LaTeX and CSV, whatever marks and scripts it holds."""

import re
import unicodedata
from collections.abc import Callable, Iterable

from anyascii import anyascii

# Marks, `_`, and dots that may begin or join a link; not those of decimal numbers.
_MARKDOWN = re.compile(r"[^\w\s,()'.%/–-]|_|(?<!\d)\.(?=\S)|\.(?=[^\s\d])")
_LATEX = {"\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
          "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "[": "{[}", "]": "{]}", "*": "{*}",
          "`": "{`}", '"': "{''}", "±": r"$\pm$", "×": r"$\times$", "µ": r"$\mu$",
          "°": r"$^\circ$", "–": "--", "—": "---", "…": r"\ldots{}", "‘": "{`}", "’": "{'}", "“": "{``}",
          "”": "{''}", **{char: "\\" + char for char in "&%$#_"}}


def markdown(text: str) -> str:
    """One line that Markdown shows as it is: marks, HTML, links and mentions become character references."""
    return _MARKDOWN.sub(lambda match: f"&#{ord(match[0])};", text)


def latex(text: str) -> str:
    """One line that LaTeX prints as it is; what plain pdfLaTeX lacks loses its accents, or is spelt in Latin."""
    # "-{}": two hyphens would join to a dash
    return "".join("-{}" if char == after == "-" else _LATEX.get(char) or _plain(char)
                   for char, after in zip(text, (text + " ")[1:], strict=True))


def csv_cell(text: str) -> str:
    """`text` that no spreadsheet takes for a formula: an apostrophe before one of = + - @ at its start."""
    return "'" + text if text[:1] in ("=", "+", "-", "@") else text


def _plain(char: str) -> str:
    if char.isascii() or ("À" <= char <= "ÿ" and char not in "ÐðÞþ÷"):
        return char
    kept = unicodedata.normalize("NFKD", char).encode("ascii", "ignore").decode()  # "ő" -> "o"
    return kept if kept.isalnum() else in_latin(char) or ("" if unicodedata.combining(char) else "?")


def heading(name: str) -> str:
    """A name as tables print it, its words with capitals; words that have any keep theirs (ETT, mRNA)."""
    return " ".join(word[:1].title() + word[1:] if word.islower() else word for word in name.split(" "))


def in_latin(text: str) -> str:
    """`text` spelt in ASCII letters, whatever its script: Сердце becomes Serdtse. Marks that LaTeX reads are not
    among them; what has no spelling is left out."""
    return "".join(char if char.isascii() else re.sub(r"[^\w\s.,:;()/+-]", "", anyascii(char)) for char in text)


def told_apart(texts: Iterable[str], render: Callable[[str], str]) -> dict[str, str]:
    """Each of `texts` as `render` gives it, with a number behind it where another one is given alike."""
    shown: dict[str, str] = {}
    for text in dict.fromkeys(texts):
        alike = rendered = render(text)
        number = 1
        while alike in shown.values():
            number += 1
            alike = f"{rendered} ({number})"
        shown[text] = alike
    return shown
