"""What help pages show first, and what the shell completes."""

import importlib
import inspect
import os
import pty
import re
import select
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fast_style.cli import main
from fast_style.cli.app import EXAMPLES, VERBS
from fast_style.cli.inspect import VERBS as INSPECT_VERBS

ROOT = Path(__file__).parents[2]
PROMPT = "ready> "


def page(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 0
    return capsys.readouterr().out


def explained(text: str) -> set[str]:
    """The options that have a line of their own in a panel."""
    return set(re.findall(r"^│ (?:\*  |   )?(?:[A-Z]+ )?(--[a-z-]+)", text, re.MULTILINE))


def test_the_first_page_gives_five_verbs_an_example_each_before_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    text = page(capsys)
    places = {verb: re.search(rf"^│ {verb} ", text, re.MULTILINE) for verb in VERBS}
    assert len(EXAMPLES) == 5
    for verb, example in EXAMPLES.items():
        assert re.search(rf"^│ {verb} .*\n│ +{re.escape(example)} +│$", text, re.MULTILINE), verb
    last = max(found.start() for verb, found in places.items() if verb in EXAMPLES and found)
    assert all(found and found.start() > last for verb, found in places.items() if verb not in EXAMPLES)


@pytest.mark.parametrize("example", EXAMPLES.values())
def test_an_example_is_a_call_that_its_verb_understands(example: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, verb, *arguments = shlex.split(example)
    known = explained(page(capsys, verb, "--help")) | {"-s", "-o"}
    assert {argument for argument in arguments if argument.startswith("-")} <= known


@pytest.mark.parametrize("verb", ["stylize", "train", "webcam"])
def test_help_explains_a_dozen_options_and_names_the_others(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    brief, full = page(capsys, verb, "--help"), page(capsys, verb, "--help-all")
    basic, every = explained(brief), explained(full)
    assert {"--style" if verb != "train" else "--out"} < basic < every
    assert len(basic) <= 12
    _, others = brief.split("More, explained by --help-all:")
    assert set(re.findall(r"--[a-z-]+", others)) == every - basic
    assert "--help-all" not in full


def test_help_explains_everything_where_no_options_are_grouped(capsys: pytest.CaptureFixture[str]) -> None:
    assert page(capsys, "merge", "--help") == page(capsys, "merge", "--help-all")
    assert page(capsys, "inspect", "--help") == page(capsys, "inspect", "--help-all")


@pytest.mark.parametrize("verb", [*VERBS, *(f"inspect {verb}" for verb in INSPECT_VERBS)])
def test_no_list_has_an_option_that_empties_it(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--empty-" not in page(capsys, *verb.split(), "--help-all")


@pytest.mark.parametrize("verb", [*VERBS, *(f"inspect {verb}" for verb in INSPECT_VERBS)])
def test_a_verb_is_described_by_its_line_on_the_page_above_and_by_all_of_its_docstring(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = " ".join(page(capsys, *verb.split(), "--help").split())
    above, _, name = verb.rpartition(" ")
    line = (INSPECT_VERBS if above else VERBS)[name]
    assert line in shown
    whole = importlib.import_module(f"fast_style.cli.{verb.replace(' ', '.')}")
    function = getattr(whole, name)
    if callable(function) and function.__doc__ and "Args:" in function.__doc__:  # and not an app of further verbs
        description = inspect.cleandoc(function.__doc__).partition("\nArgs:")[0]
        assert description.startswith(line)
        assert " ".join(description.split()) in shown


def test_the_first_page_imports_no_verb_and_no_markdown() -> None:
    code = "import sys; from fast_style.cli import main; main([]); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert not loaded & {
        "numpy",
        "rich.markdown",
        "importlib.metadata",
        "fast_style.cli.stylize",
        "cyclopts.completion",
    }


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """The environment of a bash with fast-style on its path and its completion installed, without the extras."""
    program = tmp_path / "bin" / "fast-style"
    program.parent.mkdir()
    code = "import sys; sys.modules['torch'] = sys.modules['cv2'] = None; from fast_style.cli import run; run()"
    program.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, "-c", code])} "$@"\n')
    program.chmod(0o755)
    environment = os.environ | {
        "HOME": str(tmp_path),
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    command = ["fast-style", "--install-completion", "--shell", "bash"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).is_file()
    with (tmp_path / ".bashrc").open("a") as settings:  # a prompt that can be told from all else
        settings.write(f"PS1='{PROMPT}'\nbind 'set enable-bracketed-paste off'\n")
    return environment


def typed(line: str, environment: dict[str, str], folder: Path) -> str:
    """What becomes of a line in an interactive bash once the tabulator key has completed its last word."""
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(folder)
        os.execvpe("bash", ["bash", "--rcfile", f"{environment['HOME']}/.bashrc", "-i"], environment)
    until = time.monotonic() + 120  # a machine may be busy

    def read(end: str, start: str = "") -> str:
        shown = ""
        while not (shown.endswith(end) and len(shown) > len(start)) and time.monotonic() < until:
            if select.select([terminal], [], [], 1)[0]:
                shown += os.read(terminal, 4096).decode()
        return shown

    try:
        read(PROMPT)
        os.write(terminal, f"{line}\t".encode())
        return read(" ", line)
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(terminal)


@pytest.mark.skipif(not Path("/bin/bash").exists(), reason="there is no bash")
def test_bash_completes_verbs_options_styles_and_files(shell: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "mine.onnx").touch()
    lines = {
        "fast-style optim": "fast-style optimize ",  # by its name only, as its libraries are missing
        "fast-style stylize --kee": "fast-style stylize --keep-colors ",
        "fast-style stylize photo.jpg -s woman": "fast-style stylize photo.jpg -s woman-with-a-hat ",
        "fast-style stylize photo.jpg -s mi": "fast-style stylize photo.jpg -s mine.onnx ",
        "fast-style webcam --sid": "fast-style webcam --side-by-side ",
    }
    # A shell for each: one that is interrupted, to take the next line, may lose its prompt on a busy machine.
    assert {line: typed(line, shell, tmp_path) for line in lines} == lines
