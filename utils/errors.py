"""The two ways in which a request can end badly; each carries one sentence for the person who asked."""


class WrongUse(Exception):
    """The request or its input cannot work as given: exit code 2. Names the file and the way out."""


class Failed(Exception):
    """The request was right but could not be carried out (full disk, no network): exit code 1."""
