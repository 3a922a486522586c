"""The two kinds of errors that users see; each carries one sentence."""


class WrongUse(Exception):
    """Invalid options or input: exit code 2. Names the file and the way out."""


class Failed(Exception):
    """Valid input that could not be processed (full disk, no network): exit code 1."""
