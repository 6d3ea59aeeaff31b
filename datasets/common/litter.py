"""Files and folders that systems and programs leave among people's own."""

_FILES = ("thumbs.db", "ehthumbs.db", "desktop.ini", "dicomdir", "icon\r")  # in small letters
_FOLDERS = ("@eadir", "__macosx", "#recycle", "$recycle.bin", "lost+found", "system volume information")


def why_litter(name: str) -> str | None:
    """Why a file of that name is litter, "hidden" or "system file"; None for people's own."""
    if name.lower() in _FILES:
        return "system file"
    return "hidden" if name.startswith(".") else None


def why_litter_folder(name: str) -> str | None:
    """The same of a folder, with its name where that is a system's."""
    if name.lower() in _FOLDERS:
        return f"in {name}/"
    return "hidden" if name.startswith(".") else None
