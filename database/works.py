"""The works of the collection in the site's database: kept in step with the collection store, and with a catalogue."""


def follow(images: dict[int, str]) -> None:
    """Make the table of works say what the collection holds: images is id -> path, relative to the dataset."""
