"""Names of pairs: what users call their files, as ids that are file names everywhere.

An id keeps letters, digits and accents of any script, in Unicode's normal form C: the two forms of one name are
one id, and names of another script stay apart.
"""

import unicodedata

MAX_ID = 128  # bytes in UTF-8
_ROOM = 28  # of them, for what augmentation and volumes add


def is_id(text: str) -> bool:
    """Whether `text` is a plain file name: letters, digits and marks of any script, '.', '_' and '-'."""
    return (bool(text) and text[0].isalnum() and all(map(_plain, text)) and len(text.encode()) <= MAX_ID
            and unicodedata.is_normalized("NFC", text))


def to_id(name: str) -> str:
    """A name as an id; other characters become '_'. Long names are cut, which may make two of them equal."""
    safe = "".join(char if _plain(char) else "_" for char in unicodedata.normalize("NFC", name)) or "x"
    safe = safe if safe[0].isalnum() else unicodedata.normalize("NFC", f"x{safe}")  # a mark may join x
    return safe.encode()[:MAX_ID - _ROOM].decode(errors="ignore")


def _plain(char: str) -> bool:
    return char.isalnum() or char in "._-" or unicodedata.category(char).startswith("M")
