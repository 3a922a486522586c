"""The documentation: its links lead somewhere, and the commands, settings and columns it names exist."""

import os
import re
import shlex
import subprocess
import sys
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest

from config import ANSWER_SETTINGS, POOLINGS, Settings
from models.answer import STAGES
from models.description import network
from models.evaluation.records import Record
from models.local import kinds
from web.statistics.usage import TABLES

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    str(path.relative_to(ROOT)) for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("models/**/*.md")]
)
ROOMS = ("models", "utils", "web", "database")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
NEEDED = (
    "settings",
    "statistics",
    "method",
    "measurements",
    "running-the-site",
    "architecture",
)


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def without_code(text: str) -> str:
    """Markdown without its blocks of code, fenced or indented by four after an empty line."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return "\n".join(line for line in text.splitlines() if not line.startswith("    "))


def anchors(page: str) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    found: set[str] = set()
    for title in re.findall(r"^#+ (.+)$", without_code(text_of(page)), re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).replace("`", "").strip().lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        found.add(slug if slug not in found else f"{slug}-{sum(one.startswith(slug) for one in found)}")
    return found


def broken(page: str) -> list[str]:
    """The links of a page that lead to no file, or to no heading of it."""
    lost = []
    for link in LINK.findall(without_code(text_of(page))):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (ROOT / page).parent / file if file else ROOT / page
        if not target.exists() or (anchor and anchor not in anchors(str(target.resolve().relative_to(ROOT)))):
            lost.append(link)
    return lost


def commands(page: str) -> list[list[str]]:
    """Every command of this project that a page names, as words: in blocks of code, and in the text."""
    text = text_of(page)
    blocks = re.findall(r"^```.*?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    lines += [line.strip() for line in text.splitlines() if line.startswith("    ")]
    lines += re.findall(r"`([^`\n]+)`", text)
    found = []
    for line in lines:
        command = re.split(r"\s{3,}|\s#\s", line.strip())[0]  # what follows says what it does
        for part in re.split(r"\s(?:&&|\||>)\s", command):
            words = _words(part)
            if words:
                found.append(words)
    return found


def _words(command: str) -> list[str]:
    """The words of a command without what is set before it; none where it is not one of this project."""
    try:
        words = shlex.split(command)
    except ValueError:
        return []
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words = words[1:]
    if words[:1] == ["bash"]:
        words = words[1:]
    if words and words[0].split("/")[-1] == "python" and len(words) > 1:
        words = [f"{words[2].replace('.', '/')}.py", *words[3:]] if words[1] == "-m" else words[1:]
        return words if words[0].endswith(".py") and (ROOT / words[0].split("/")[0]).exists() else []
    return words if words and (words[0].startswith("./") or words[0].startswith(".ci/")) else []


COMMANDS = sorted({(page, *words) for page in PAGES for words in commands(page)})


@cache
def usage(*words: str) -> str:
    """What a script's --help says of its options and commands, without the examples."""
    module = words[0].removesuffix(".py").replace("/", ".")
    start = ["-m", module] if words[0].startswith("models/") else [words[0]]
    done = subprocess.run(
        [sys.executable, *start, *words[1:], "--help"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.partition("\n\n")[0] if words[0] != "app.py" else done.stdout


@pytest.mark.parametrize("name", NEEDED)
def test_a_page_of_the_documentation_is_there_and_the_readme_leads_to_it(name):
    assert f"(docs/{name}.md" in text_of("README.md")
    assert text_of(f"docs/{name}.md").startswith("# ")


def test_the_readme_is_for_newcomers():
    assert len(text_of("README.md").splitlines()) < 200
    for page in ("CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"):
        assert f"({page})" in text_of("README.md")


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    assert not broken(page)


def test_a_link_that_leads_nowhere_is_noticed(tmp_path, monkeypatch):
    (tmp_path / "page.md").write_text("# One\n\n[a](#one) [b](#two) [c](gone.md) [d](page.md#one) [e](page.md#three)\n")
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    assert broken("page.md") == ["#two", "gone.md", "page.md#three"]


def test_there_are_commands_to_check():
    assert len(COMMANDS) > 40


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_exists_with_its_options(command, tmp_path, monkeypatch):
    _, script, *arguments = command
    assert (ROOT / script).is_file(), script
    options = [word.partition("=")[0] for word in arguments if re.fullmatch(r"--?[a-zA-Z].*", word)]
    if not script.endswith(".py"):
        if script == "./test.sh":
            return  # its arguments are pytest's
        assert os.access(ROOT / script, os.X_OK) or script == ".ci/run"
        assert all(option in text_of(script) for option in options)
        return
    words = [script]
    if script == "app.py" and arguments and not arguments[0].startswith("-") and arguments[0].islower():
        assert re.search(rf"^    {arguments[0]}(?: +\S|$)", usage("app.py"), re.MULTILINE), arguments[0]
        words.append(arguments[0])
        if arguments[0] == "db":
            monkeypatch.setenv("RETRIEVAL_DATABASE", str(tmp_path))
            assert len(arguments) == 1 or re.search(rf"^  {arguments[1]} ", usage(*words), re.MULTILINE)
            words += arguments[1:2]
    if options:
        known = set(re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", usage(*words)))
        assert set(options) <= known | {"--help"}


def test_the_messages_that_the_readme_explains_are_those_of_the_code():
    table = text_of("README.md").partition("## When something fails")[2].partition("\n## ")[0]
    messages = re.findall(r"^\| `(.+?)` \|", table, re.MULTILINE)
    assert len(messages) > 5
    code = "\n".join(
        path.read_text("utf-8")
        for path in [*ROOT.glob("*.py"), *(file for room in ROOMS for file in (ROOT / room).rglob("*.py"))]
    )
    for message in messages:
        for part in re.split(r" ?(?:RETRIEVAL_)?\.\.\.", message):
            assert part.strip() in code, message


def test_every_setting_is_in_the_table_with_its_default():
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| (.*?) \|", text_of("docs/settings.md"), re.MULTILINE))
    expected = {}
    for field in fields(Settings):
        default = {True: "on", False: "off"}.get(field.default, field.default) if field.type in (bool, "bool") else None
        default = field.default if default is None else default
        variable = "DATABASE_URL" if field.name == "database_url" else f"RETRIEVAL_{field.name.upper()}"
        expected[variable] = f"`{default}`" if str(default) else ""
    assert rows == expected


@pytest.mark.parametrize(
    ("variable", "known"),
    [("RETRIEVAL_FEATURE", kinds.KINDS), ("RETRIEVAL_NETWORK", network.NETWORKS), ("RETRIEVAL_POOLING", POOLINGS)],
)
def test_every_name_that_a_setting_accepts_is_in_its_row(variable, known):
    row = re.search(rf"^\| `{variable}` .*$", text_of("docs/settings.md"), re.MULTILINE)
    assert row and set(known) <= set(re.findall(r"`(\w+)`", row[0]))


def test_the_settings_that_shape_answers_are_named():
    page = text_of("docs/settings.md")
    named = page.partition("## What shapes answers")[2].partition(" shape answers")[0]
    search = page.partition("## Search\n")[2].partition("\n## ")[0]
    variables = set(re.findall(r"`(RETRIEVAL_\w+)`", named)) | set(re.findall(r"^\| `(\w+)`", search, re.MULTILINE))
    assert variables == {f"RETRIEVAL_{name.upper()}" for name in ANSWER_SETTINGS}


@pytest.mark.parametrize("page", PAGES)
def test_a_setting_that_a_page_names_exists(page):
    known = {f"RETRIEVAL_{field.name.upper()}" for field in fields(Settings)}
    assert set(re.findall(r"RETRIEVAL_[A-Z_]*[A-Z]", text_of(page))) <= known


def test_every_column_and_table_of_the_statistics_is_explained():
    page = text_of("docs/statistics.md")
    named = set(re.findall(r"`([a-z][a-z0-9_-]*)`", page))
    columns = {field.name for field in fields(Record)} - {"stages"} | {"in_collection"}
    assert columns | {f"seconds_{stage}" for stage in STAGES} | set(TABLES) <= named
