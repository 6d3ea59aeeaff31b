"""Text of unknown origin as literal text in Markdown, LaTeX and CSV, whatever marks it holds."""

import re
import unicodedata

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
    """One line that LaTeX prints as it is; characters that plain pdfLaTeX lacks lose their accents or become ?."""
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
    return kept if kept.isalnum() else "?"
