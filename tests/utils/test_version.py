"""The version: stated in pyproject.toml, printed by every script."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from utils.version import VERSION

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted(
    str(path.relative_to(ROOT))
    for folder in (ROOT, ROOT / "dataset", ROOT / "benchmarks")
    for path in folder.glob("*.py")
    if '__name__ == "__main__"' in path.read_text(encoding="utf-8")
)


def test_it_is_the_one_that_pyproject_states():
    stated = re.search(
        r"^\[project\]\n(?:.+\n)*?version = \"(.+?)\"", (ROOT / "pyproject.toml").read_text("utf-8"), re.M
    )
    assert stated and stated[1] == VERSION
    assert re.fullmatch(r"\d+\.\d+\.\d+", VERSION)


def test_the_changelog_knows_it():
    assert f"\n## [{VERSION}] - " in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_prints_it(script):
    done = subprocess.run([sys.executable, script, "--version"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, f"{VERSION}\n"), done.stderr
