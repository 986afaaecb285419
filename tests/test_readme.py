"""The README's commands and Python run as they are written, on a packaged photo and without the network."""

import re
import shlex
import tomllib
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fast_style import Stylizer
from fast_style.cli import main
from fast_style.films.writer import VideoFormat, VideoWriter
from fast_style.images import load_image
from tests.conftest import PHOTOS, moving_square, snippets

ROOT = Path(__file__).parents[1]
# What needs a camera, minutes, or the network; their own tests run them.
ELSEWHERE = ("fast-style webcam", "fast-style train", "git clone", "scripts/", "pip install")
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "checkpoints/README.md")),
    *sorted(path for folder in ("docs", "examples") for path in (ROOT / folder).rglob("*.md")),
]
LINES = [line for block in snippets("README.md", "sh") for line in block.splitlines()]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with what the README's commands read."""
    place = tmp_path / "place"
    (place / "holiday/sea").mkdir(parents=True)
    monkeypatch.chdir(place)
    photo = Image.open(PHOTOS["chelsea"]).convert("RGB").resize((90, 60))
    photo.save("photo.jpg")
    photo.save("holiday/sea/cat.jpg")
    writer = VideoWriter(Path("clip.mp4"), VideoFormat(64, 48, Fraction(25), Fraction(1, 25)))
    for number, frame in enumerate(moving_square(4)):
        writer.add(frame, number)
    writer.close()
    return place


def test_the_commands_run_and_write_what_they_say(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commands = [shlex.split(line, comments=True) for line in LINES if not line.startswith(ELSEWHERE)]
    assert {program for program, *_ in commands} == {"fast-style"}
    assert {verb for _, verb, *_ in commands} == {"stylize", "sheet", "styles", "info"}
    for _, *arguments in commands:
        assert main(arguments) == 0, arguments
    assert "starry-night" in capsys.readouterr().out
    for path in ("out.png", "mixed.png", "calm.png", "photo-udnie.jpg", "stylized/sea/cat.jpg"):
        assert load_image(path).pixels.shape == (60, 90, 3)
    assert Path("out.mp4").stat().st_size > 1000
    assert load_image("sheet.jpg").pixels.shape[1] > 2 * 90
    assert load_image("sheet.png").pixels.shape[0] > load_image("sheet.jpg").pixels.shape[0]


def test_the_python_runs(place: Path) -> None:
    (python,) = snippets("README.md", "python")
    exec(compile(python, "README.md", "exec"), {})
    expected = np.asarray(Stylizer("starry-night")("photo.jpg"))
    np.testing.assert_array_equal(np.asarray(Image.open("out.png")), expected)


def test_the_readme_names_every_verb_and_no_other() -> None:
    from fast_style.cli.app import VERBS

    assert {line.split()[1] for line in LINES if line.startswith("fast-style")} <= set(VERBS)
    table = [line.split("|")[1] for line in README.splitlines() if line.startswith("| `")]
    assert sorted(re.findall(r"`(\w+)`", " ".join(table))) == sorted(VERBS)


def test_every_extra_that_is_installed_exists() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert {"train", "video"} <= set(re.findall(r"'\.\[(\w+)\]'", README)) <= set(extras)


def test_every_script_and_option_that_the_readme_names_exists(capsys: pytest.CaptureFixture[str]) -> None:
    scripts = set(re.findall(r"scripts/\w+", README))
    assert {"scripts/demo", "scripts/test"} <= scripts
    assert [name for name in scripts if not (ROOT / name).is_file()] == []
    for verb in ("train", "stylize", "sheet"):
        main([verb, "--help"])
    helps = capsys.readouterr().out
    assert [option for option in set(re.findall(r"--[a-z][a-z-]+", README)) if option not in helps] == []


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith("https://"):
            continue
        target, _, anchor = link.partition("#")
        path = page.parent / target if target else page
        assert path.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert anchor in map(slug, headings), link


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/how-it-works.md"])
def test_every_file_of_the_package_that_a_page_names_exists(page: str) -> None:
    named = re.findall(r"`(fast_style/[\w/.]+)`", (ROOT / page).read_text(encoding="utf-8"))
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_script_and_example_that_a_page_names_exists() -> None:
    for page in PAGES:
        if page.name != "CHANGELOG.md" and page.parent.name != "experiments":  # they tell of what was
            named = re.findall(r"(?<![\w/])((?:scripts|examples)/[\w/.]*\w)", page.read_text(encoding="utf-8"))
            assert [name for name in named if not (ROOT / name).exists()] == [], page.name


def test_every_option_of_a_command_in_the_docs_exists(capsys: pytest.CaptureFixture[str]) -> None:
    helps: dict[str, str] = {}
    for page in PAGES:
        if page.name == "CHANGELOG.md" or page.parent.name == "experiments":  # they tell of what was
            continue
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        for chain, rest in re.findall(r"(?:^|`|    )fast-style ((?:inspect )?[a-z]+)([^`\n|#]*)", text, re.MULTILINE):
            if chain not in helps:
                assert main([*chain.split(), "--help"]) == 0, (page.name, chain)
                helps[chain] = capsys.readouterr().out
            options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", rest))
            assert [option for option in options if option not in helps[chain]] == [], (page.name, chain)
    assert {"train", "stylize", "export", "inspect maximize"} <= set(helps)
