"""Text that people read."""

import os


def printable(name: str) -> str:
    """A file name as text that every UTF-8 reader takes: bytes that are not UTF-8 become `\\xNN`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
