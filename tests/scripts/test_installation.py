"""The shell scripts and the requirement files: what can be checked without installing anything."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
SCRIPTS = ["demo.sh", "test.sh", "installation_1.sh", "installation_2.sh", ".ci/run"]
PINNED = ["requirements.txt", "requirements-gpu.txt", "requirements-test.txt"]
ASKED = ["requirements.in", "requirements-gpu.in", "requirements-test.in"]
# The environments that must install: Linux on both processors, every Python.
ENVIRONMENTS = [
    {
        "python_version": python,
        "python_full_version": f"{python}.1",
        "platform_machine": machine,
        "sys_platform": "linux",
        "implementation_name": "cpython",
    }
    for python in ("3.10", "3.11", "3.12", "3.13")
    for machine in ("x86_64", "aarch64")
]


def run(script: str, *arguments: str, root: Path = ROOT, **environ: str) -> subprocess.CompletedProcess:
    """A script of `root`, called from another folder; a variable given as "" is as good as unset."""
    return subprocess.run(
        [root / script, *arguments], cwd="/", env=os.environ | environ, capture_output=True, text=True, timeout=60
    )


def copied(folder: Path, *names: str) -> Path:
    for name in names:
        shutil.copy2(ROOT / name, folder)
    return folder


def requirements(name: str) -> list[Requirement]:
    """The requirements of a file, without comments and options."""
    lines = (re.split(r"(?:^|\s)#", line)[0].strip() for line in (ROOT / name).read_text().splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


def pins(name: str, environment: dict[str, str]) -> dict[str, str]:
    """What a pinned file installs in an environment: name -> version specifier."""
    return {
        canonicalize_name(r.name): str(r.specifier)
        for r in requirements(name)
        if r.marker is None or r.marker.evaluate(environment)
    }


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_are_executable_bash_and_say_what_they_do(script):
    first, second, *_ = (ROOT / script).read_text().splitlines()
    assert first == "#!/usr/bin/env bash"
    assert second.startswith("# ") and second.endswith((".", "/run"))
    assert os.access(ROOT / script, os.X_OK)
    assert subprocess.run(["bash", "-n", ROOT / script], capture_output=True).stderr == b""


@pytest.mark.parametrize(
    "script, argument",
    [("demo.sh", "--serve"), ("demo.sh", ""), ("installation_1.sh", "x"), ("installation_2.sh", "-t")],
)
def test_an_unknown_argument_is_wrong_use_told_in_one_sentence(script, argument):
    done = run(script, argument)
    assert done.returncode == 2
    assert done.stdout == ""
    assert re.fullmatch(rf"{script}: .+\.\n", done.stderr)


def test_demo_help_is_its_header():
    done = run("demo.sh", "--help")
    assert done.returncode == 0
    assert "--no-serve" in done.stdout and "#" not in done.stdout and "set -eu" not in done.stdout


def test_installation_1_refuses_a_python_that_is_missing_too_old_or_without_venv(tmp_path):
    copied(tmp_path, "installation_1.sh")
    old = tmp_path / "python3.9"
    old.write_text("#!/bin/sh\necho 3.9\n")
    bare = tmp_path / "python3.12"  # what Debian gives without python3-venv: a Python that cannot import ensurepip
    bare.write_text('#!/bin/sh\ncase "$*" in *ensurepip*) exit 1;; esac\necho 3.12\n')
    for python in (old, bare):
        python.chmod(0o755)
    ways_out = {"/nowhere/python3": "apt-get install python3 ", str(old): "3.10 to 3.13", str(bare): "python3.12-venv"}
    for python, way_out in ways_out.items():
        done = run("installation_1.sh", root=tmp_path, PYTHON=python)
        assert done.returncode == 2
        assert way_out in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "vir_env").exists()


def test_installation_1_makes_an_environment_and_mends_a_broken_one(tmp_path):
    copied(tmp_path, "installation_1.sh")
    python = tmp_path / "vir_env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("broken off")
    assert "vir_env is made" in run("installation_1.sh", root=tmp_path, PYTHON=sys.executable).stdout
    subprocess.run([python, "-m", "pip", "--version"], check=True, capture_output=True)
    assert "vir_env is there" in run("installation_1.sh", root=tmp_path, PYTHON=sys.executable).stdout


def test_installation_2_names_the_step_before_it(tmp_path):
    done = run("installation_2.sh", root=copied(tmp_path, "installation_2.sh"), VIRTUAL_ENV="")
    assert done.returncode == 2
    assert "installation_1.sh" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("name", PINNED)
def test_pinned_files_pin_exactly_and_name_their_command_but_no_place(name):
    text = (ROOT / name).read_text()
    assert re.search(rf"uv pip compile .*-o {name}\n", text.partition("\n")[2])
    assert "://" not in text and not re.search(r"(^|\s)/|--(extra-)?index|--find-links", text)
    for requirement in requirements(name):
        assert re.fullmatch(r"==[0-9][0-9a-z.]*", str(requirement.specifier)), requirement


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda e: f"{e['python_version']}-{e['platform_machine']}")
def test_pinned_files_hold_what_is_asked_for(environment):
    for asked, pinned in zip(ASKED, PINNED, strict=True):
        there = pins(pinned, environment)
        for name, wanted in pins(asked, environment).items():
            assert name in there, f"{name} of {asked} is not in {pinned}: generate it again"
            assert not wanted or there[name] == wanted
    cpu, gpu, test = (pins(name, environment) for name in PINNED)
    # Packages that write the same folder exclude one another.
    assert ("tensorflow-cpu" in cpu) != ("tensorflow" in cpu)
    assert "tensorflow" in gpu and "tensorflow-cpu" not in gpu and "nvidia-cudnn-cu12" in gpu
    assert not {"opencv-python", "opencv-contrib-python"} & (cpu.keys() | gpu.keys() | test.keys())
    # What several files hold, they hold in the same version.
    for other in (gpu, test):
        assert {name: cpu[name] for name in cpu.keys() & other.keys()} == {
            name: other[name] for name in cpu.keys() & other.keys()
        }


@pytest.mark.parametrize("name", ASKED)
def test_every_requirement_has_its_reason(name):
    for line in (ROOT / name).read_text().splitlines():
        if line and not line.startswith(("#", "-")):
            assert re.search(r"\s# \w.{8,}", line), f"{name}: {line}"
