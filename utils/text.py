"""Text for people."""

import os


def counted(count: int, noun: str, plural: str = "") -> str:
    """A number with its noun: "1 work", "2,500 works". plural: where an "s" does not make it."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def printable(name: str) -> str:
    """A file name as valid UTF-8 text: other bytes become `\\xNN`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
