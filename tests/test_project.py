"""What surrounds the code: metadata, types, CI and hooks."""

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import fast_style

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(fast_style.__file__).parent / "py.typed").is_file()
    assert "Typing :: Typed" in PROJECT["classifiers"]


def test_the_classifiers_name_the_oldest_python_that_is_supported() -> None:
    oldest = PROJECT["requires-python"].removeprefix(">=")
    assert f"Programming Language :: Python :: {oldest}" in PROJECT["classifiers"]


def test_the_changes_tell_of_this_version() -> None:
    assert re.search(
        rf"^## {re.escape(fast_style.__version__)}, \d{{4}}-\d\d-\d\d$",
        (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )


def test_hosted_ci_runs_what_is_run_here() -> None:
    workflow = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    assert re.findall(r"run: (.+)", workflow) == [".ci/run"]
    assert (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()[-1] == "scripts/test"


def test_the_hooks_run_and_pass() -> None:
    hooks = re.findall(r"entry: (.+)", (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert len(hooks) == 2
    for hook in hooks:
        program, *arguments = shlex.split(hook)
        assert program == ".venv/bin/ruff"
        ruff = Path(sys.executable).with_name("ruff")
        subprocess.run([ruff, *arguments, __file__], cwd=ROOT, check=True, capture_output=True)
