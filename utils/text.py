"""Text for people."""

import os


def printable(name: str) -> str:
    """A file name as valid UTF-8 text: other bytes become `\\xNN`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
