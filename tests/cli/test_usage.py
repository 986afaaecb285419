"""What is said of a command that was not called right: one line that names what to give, and exit status two."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from fast_style.cli import main

# Words of the library's own messages.
LIBRARY = ("token", "Token", "parameter", "Parameter", "convert", "positional", "keyword", "Command ")
RESUME = "; --resume needs what the run began with, as a checkpoint holds neither the painting nor the photos"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a photo."""
    Image.new("RGB", (32, 32), (30, 90, 150)).save(tmp_path / "photo.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("train", "PAINTING, PHOTOS and --out are missing"),
        ("train photo.png", "PHOTOS and --out are missing"),
        ("train photo.png . --netwrok fast", "Unknown option: --netwrok. Did you mean --network?"),
        ("train photo.png . -o", "-o needs a value"),
        ("train -oout", "PAINTING and PHOTOS are missing"),
        ("train photo.png . -o out --steps many", "--steps is 'many'; expected a whole number"),
        ("train --resume run.ckpt", f"PAINTING, PHOTOS and --out are missing{RESUME}"),
        ("train photo.png . --resume=run.ckpt", f"--out is missing{RESUME}"),
        (
            "train --painting photo.png photos -o out",
            "'photos' has no place after --painting: give all arguments with their names, or none",
        ),
        ("export", "CHECKPOINT is missing"),
        ("export a.ckpt b.ckpt", "nothing is done with 'b.ckpt': there are too many arguments"),
        ("stylize photo.png", "--style is missing"),
        ("stylize photo.png -s udnie --size 1 --size 2", "--size is given more than once"),
        ("stylize photo.png -s udnie --blend half", "--blend is 'half'; expected a number"),
        ("stylize photo.png -s udnie --json=maybe", "--json is 'maybe'; expected no value"),
        ("stylize photo.png -s udnie --format tiff", 'Invalid value "tiff" for --format. Choose from: "png", "jpg", '),
        ("batch", "MANIFEST and --style are missing"),
        ("batch list.csv -s udnie --actors many", "--actors is 'many'; expected a whole number"),
        ("webcam", "--style is missing"),
        ("webcam --style --headless", "no style was given"),
        ("web", "--out is missing"),
        ("web udnie -o page --port x", "--port is 'x'; expected a whole number"),
        ("optimize", "CONTENT and --out are missing"),
        ("evaluate udnie", "--style and --photos are missing"),
        ("sheet a.png b.png -o x.png", "nothing is done with 'b.png': there are too many arguments"),
        ("styles udnie", "nothing is done with 'udnie': there are too many arguments"),
        ("info --stile udnie", "Unknown option: --stile. Did you mean --style?"),
        ("inspect features photo.png", "--layer and --out are missing"),
        ("inspect --json", "--json is not an option here; expected a verb first"),
        ("inspect layer", 'Unknown command "layer". Did you mean "layers"?'),
        ("stylise photo.png", 'Unknown command "stylise". Did you mean "stylize"?'),
        ("--style udnie", "--style is not an option here; expected a verb first"),
    ],
)
def test_what_is_wrong_with_a_call_is_said_in_plain_words(
    command: str, message: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command.split()) == 2
    said = capsys.readouterr()
    assert said.out == ""
    error, *hints = said.err.splitlines()
    assert error.startswith(f"error: {message}")
    assert not any(word in error for word in LIBRARY)
    assert len(hints) <= 1
    assert all(hint.startswith("hint: See 'fast-style") for hint in hints)


@pytest.mark.parametrize("more", [[], ["-o", "out.png"], ["-s", "udnie"], ["-s", "udnie", "-o", "out.png"]])
@pytest.mark.parametrize(
    ("option", "near"), [("--keep-colours", "--keep-colors"), ("--forse", "--force"), ("-z", None), ("-5", None)]
)
def test_an_unknown_option_of_stylize_is_refused_before_anything_is_done(
    option: str, near: str | None, more: list[str], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if option == "-5" and "-o" in more:
        pytest.skip("two inputs cannot go to one file")
    assert main(["stylize", "photo.png", option, *more]) == 2
    error = capsys.readouterr().err.splitlines()[0]
    if option == "-5":
        assert error == ("error: -5 is neither an option nor a file" if more else "error: --style is missing")
    else:
        assert error == f"error: Unknown option: {option}." + (f" Did you mean {near}?" if near else "")
    assert sorted(path.name for path in place.iterdir()) == ["photo.png"]


def test_an_option_is_not_taken_for_the_file_to_write(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stylize", "photo.png", "-s", "udnie", "-o", "--keep-colours"]) == 2
    assert capsys.readouterr().err.startswith("error: -o needs a value")


@pytest.mark.parametrize("inputs", [["--", "-photo.png"], ["./-photo.png"]])
def test_a_file_whose_name_begins_with_a_hyphen_is_stylized(inputs: list[str], place: Path) -> None:
    (place / "photo.png").rename(place / "-photo.png")
    assert main(["stylize", "-s", "udnie", *inputs]) == 0
    assert (place / "-photo-udnie.png").is_file()
