"""The register of works on the command line: loading, going back, exporting, and an empty one to fill in."""

import csv
import sys
from collections.abc import Iterable
from pathlib import Path

from flask import current_app

from database import catalog, kept, works
from database.register import columns, writing
from database.register.text import guarded
from models.collection.store import Store
from utils.errors import WrongUse
from utils.text import counted, printable

SHOWN = 20  # rows without a work that are printed
UNMATCHED, WITHOUT_ROW = "catalog_unmatched.csv", "catalog_files_without_row.csv"  # in the output folder


def add_commands(manager) -> None:
    """What app.py can do about it on the command line."""

    @manager.option("file", metavar="FILE", type=Path, help="CSV, .xlsx, .xls or .ods, in any language and order")
    @manager.option("--dry-run", action="store_true", help="say what would change, and change nothing")
    @manager.option("--yes", action="store_true", help="do not ask where works would lose their entries")
    @manager.option("--sheet", metavar="NAME", help="of a workbook (the first visible one that is a register)")
    @manager.option(
        "--map",
        dest="mappings",
        action="append",
        metavar="OURS=THEIRS",
        help='"Image file=Bild": what a column is; remembered, and can be given several times',
    )
    def load_catalog(file: Path, dry_run: bool, yes: bool, sheet: str | None, mappings: list[str] | None) -> None:
        """Artists, titles and inventory numbers of the works, from a CSV file or a workbook."""
        folder = current_app.extensions["settings"].database
        said = columns.parse_mapping(mappings or [])
        mapping = kept.read_mapping(folder) | said
        register = catalog.Register(file, sheet, mapping)
        known = {columns.plain(column.name) for column in register.columns}
        typed = [option.partition("=")[2].strip() for option in mappings or []]
        unknown = [name for name in typed if columns.plain(name) not in known]
        if unknown:
            names = ", ".join(column.name for column in register.columns)
            raise WrongUse(f"{file} has no column {' or '.join(map(repr, unknown))} to --map: it has {names}.")
        _follow_store()
        with works.Plan(register) as plan:
            _print_notes([*register.notes, *register.last_notes])
            if _load(plan, dry_run, yes) and mappings:
                kept.write_mapping(folder, mapping)

    @manager.option("number", nargs="?", type=int, help="which one: 1 is the last before; without it they are listed")
    @manager.option("--dry-run", action="store_true", help="say what would change, and change nothing")
    @manager.option("--yes", action="store_true", help="do not ask where works would lose their entries")
    def restore_catalog(number: int | None, dry_run: bool, yes: bool) -> None:
        """Go back to an earlier register; the last ten are kept."""
        earlier = kept.list_earlier(current_app.extensions["settings"].database)
        if not earlier:
            raise WrongUse("There is no earlier register to go back to.")
        if number is None:
            for place, path in enumerate(earlier, 1):
                print(f"{place:3}  {counted(kept.count_rows(path), 'row')}, replaced on {kept.when(path)}")
            print("To go back to the first of these: python app.py restore_catalog 1")
            return
        if not 1 <= number <= len(earlier):
            raise WrongUse(f"There is no earlier register {number}: there are {len(earlier)}.")
        chosen = earlier[number - 1]
        _follow_store()
        with works.Plan(kept.read(chosen)) as plan:
            if _load(plan, dry_run, yes):
                chosen.unlink(missing_ok=True)  # it is the one that counts now

    @manager.option("file", metavar="FILE", type=Path, help="to write: .csv or .xlsx")
    def export_catalog(file: Path) -> None:
        """The register with the files that were matched, to be loaded again without loss."""
        count = writing.write(file, works.export_rows)
        print(f"{counted(count, 'row')} written to {file}.")

    @manager.option("file", metavar="FILE", type=Path, nargs="?", default=Path("register.xlsx"), help="(register.xlsx)")
    def catalog_template(file: Path) -> None:
        """An empty register that explains its columns, .xlsx or .csv."""
        if file.exists():
            raise WrongUse(f"{file} is there already: name another file.")
        writing.template(file)
        print(f"{file} is an empty register. Fill it in, then: python app.py load_catalog {file}")


def _follow_store() -> None:
    """Bring the tables in step with the collection store."""
    store = Store.reading(current_app.extensions["settings"].output)
    try:
        works.follow({image: stamp.path for image, stamp in store.images().items()})
    finally:
        store.close()


def _load(plan: works.Plan, dry_run: bool, yes: bool) -> bool:
    """Say what would change, and change it where that is wanted; whether it was."""
    loaded = plan.loaded()
    _report(loaded, plan)
    if dry_run:
        print("Nothing was changed (--dry-run).")
        return False
    if loaded.lost and not yes and not _agreed(f"{would_be_lost(loaded.lost)} Go on?"):
        print("Nothing was changed.")
        return False
    plan.apply()
    return True


def would_be_lost(lost: int) -> str:
    """The warning before works lose their entries."""
    return f"{counted(lost, 'work')} would lose {'its entry' if lost == 1 else 'their entries'}."


def _agreed(question: str) -> bool:
    if not sys.stdin.isatty():
        raise WrongUse(f"{question.removesuffix(' Go on?')} Nothing was changed; add --yes if that is meant.")
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


def _print_notes(notes: list[str]) -> None:
    for note in notes:
        print(f"  {note}")


def _report(loaded: works.Loaded, plan: works.Plan) -> None:
    """Print what becomes of a register; rows without a work and files without a row go to files."""
    output = current_app.extensions["settings"].output
    unmatched = _write_unmatched(output / UNMATCHED, plan.unmatched())
    without_row = _write_files(output / WITHOUT_ROW, plan.files_without_row())
    for sentence in sentences(loaded, unmatched):
        print(sentence)
    if unmatched:
        print(f"{output / UNMATCHED} lists the rows without a work and those that name a missing file.")
    if without_row:
        print(f"{output / WITHOUT_ROW} lists {counted(without_row, 'picture')} that no row names.")


def sentences(loaded: works.Loaded, unmatched: int) -> list[str]:
    """What becomes of a register, for people. unmatched: how many rows have no work."""
    said = [
        f"{counted(loaded.rows, 'row')}, {counted(loaded.matched, 'work')} matched, "
        f"{counted(unmatched, 'row')} without a work, {counted(loaded.without_row, 'work')} without a row.",
        f"Entries: {loaded.new:,} new, {loaded.changed:,} changed, {loaded.lost:,} lost. "
        f"The works matched have {counted(loaded.pictures, 'picture')}.",
    ]
    if loaded.repeated:
        said.append(
            f"{counted(loaded.repeated, 'row')} with the inventory number of an earlier row: their pictures are added "
            "to its work."
        )
    if loaded.cut:
        said.append(
            f"{counted(loaded.cut, 'cell')} longer than pages can show; the register that is kept has the whole text."
        )
    return said


def named(row: catalog.Work) -> str:
    """What a row of a register is called, for people."""
    name = ", ".join(filter(None, (row.number, row.author, row.title, row.file or row.url)))
    return name[:150] or "A row without a name"


def _write_unmatched(path: Path, rows: Iterable[tuple[catalog.Work, str]]) -> int:
    """Print the first rows with their reasons, and write all; how many. Without any, there is no file."""
    count = 0
    with catalog.whole_file(path) as file:
        writer = csv.writer(file, delimiter=";", lineterminator="\n")
        writer.writerow(["REASON", *columns.LABELS.values(), "Other columns"])
        for count, (row, reason) in enumerate(rows, 1):
            if count <= SHOWN:
                print(f"  {named(row)}: {reason}.")
            others = " | ".join(f"{name}: {text}" for name, text in row.more.items())
            texts = [reason, *(getattr(row, name) for name in columns.LABELS), others]
            writer.writerow([guarded(printable(text)) for text in texts])
    if count > SHOWN:
        print(f"  and {count - SHOWN:,} more.")
    if not count:
        path.unlink()
    return count


def _write_files(path: Path, files: Iterable[str]) -> int:
    """The same for pictures."""
    count = 0
    with catalog.whole_file(path) as file:
        writer = csv.writer(file, delimiter=";", lineterminator="\n")
        writer.writerow([columns.LABELS["file"]])
        for count, name in enumerate(files, 1):  # noqa: B007
            writer.writerow([guarded(printable(name))])
    if not count:
        path.unlink()
    return count
