"""A command that is not called right: one line that names the argument, and exit status two."""

from contextlib import suppress
from pathlib import Path

import pytest
from cyclopts import App
from PIL import Image

from fast_style.cli import main
from fast_style.cli.app import VERBS, app
from fast_style.cli.inspect import VERBS as INSPECT_VERBS
from fast_style.errors import InputError


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a photo."""
    Image.new("RGB", (32, 32), (30, 90, 150)).save(tmp_path / "photo.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("train", "train needs PAINTING"),
        ("train photo.png", "train needs --out"),
        ("train photo.png . --netwrok fast", "Did you mean --network?"),
        ("train photo.png . -o", "-o needs a value"),
        ("train photo.png . -o out --steps many", '--steps: unable to convert "many"'),
        ("train --painting photo.png photos -o out", '"photos"'),
        ("export a.ckpt b.ckpt", "'b.ckpt' is not expected here"),
        ("stylize photo.png", "stylize needs --style"),
        ("stylize photo.png -s udnie --size 1 --size 2", "--size"),
        ("stylize photo.png -s udnie --blend half", '--blend: unable to convert "half"'),
        ("stylize photo.png -s udnie --json=maybe", "--json"),
        ("stylize photo.png -s udnie --format tiff", '"tiff" for --format'),
        ("webcam --style --headless", "no style was given"),
        ("optimize", "optimize needs PHOTO"),
        ("sheet", "sheet needs PHOTO"),
        ("sheet photo.png --otu sheet.png", "there is no option '--otu'; did you mean '--out'?"),
        ("inspect maximize", "inspect maximize needs --layer"),
        ("evaluate udnie", "evaluate needs --style"),
        ("info --bench", "Did you mean --benchmark?"),
        ("inspect --json", "--json"),
        ("inspect layer", "did you mean 'layers'?"),
        ("stylise photo.png", "did you mean 'stylize'?"),
        ("--style udnie", "--style"),
    ],
)
def test_a_call_that_is_wrong_is_an_error_of_one_line_that_names_the_argument(
    command: str, named: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command.split()) == 2
    said = capsys.readouterr()
    assert said.out == ""
    error, hint = said.err.splitlines()
    assert error.startswith("error: ")
    assert named in error
    assert hint.startswith("hint: See 'fast-style")
    assert hint.endswith("--help'.")


@pytest.mark.parametrize(("verb", "listed"), [("stylize photo.png", True), ("webcam", True), ("evaluate udnie", False)])
def test_who_gives_no_style_is_told_where_they_are_listed(
    verb: str, listed: bool, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(verb.split()) == 2
    assert ("'fast-style styles'" in capsys.readouterr().err) == listed


@pytest.mark.parametrize("more", [["-s", "udnie"], ["-s", "udnie", "-o", "out.png"]])
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
        assert error == "error: -5 is neither an option nor a file"
    else:
        assert error == f"error: Unknown option: {option}." + (f" Did you mean {near}?" if near else "")
    assert sorted(path.name for path in place.iterdir()) == ["photo.png"]


def test_an_option_is_not_taken_for_the_file_to_write(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stylize", "photo.png", "-s", "udnie", "-o", "--keep-colors"]) == 2
    assert capsys.readouterr().err.startswith("error: -o needs a value\n")


@pytest.mark.parametrize("inputs", [["--", "-photo.png"], ["./-photo.png"]])
def test_a_file_whose_name_begins_with_a_hyphen_is_stylized(inputs: list[str], place: Path) -> None:
    (place / "photo.png").rename(place / "-photo.png")
    assert main(["stylize", "-s", "udnie", *inputs]) == 0
    assert (place / "-photo-udnie.png").is_file()


@pytest.mark.parametrize("command", [*sorted(set(VERBS) - {"inspect"}), *(f"inspect {verb}" for verb in INSPECT_VERBS)])
def test_every_option_of_a_verb_can_be_given(command: str) -> None:
    verb: App = app
    for name in command.split():
        verb = verb[name]
    arguments = [each for each in verb.assemble_argument_collection() if each.parse and each.name.startswith("--")]
    required = [token for each in arguments if each.required for token in (each.name, "1")]
    for argument in arguments:
        given = [] if argument.required else [argument.name]
        if given and "bool" not in str(argument.hint):  # a flag takes none
            given.append(next(filter(None, argument.get_choices() or ()), "1"))
        with suppress(InputError):  # 1 is out of the range of some
            app.parse_args([*command.split(), *required, *given], exit_on_error=False, print_error=False)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("inspect features photo.png --layer relu1_1 --channel 3 --top 2 -o out.png", "--channel names the channels"),
        ("inspect gradcam photo.png --class tabby --top 2 -o out.png", "--class names the class"),
        ("export udnie --io uint8 --photos nowhere -o out.onnx", "photos are for fp16 and int8"),
        ("web --serve --force -o out", "--runtime and --force are for writing a page"),
        ("web udnie-tiny --port 9 -o out", "--host and --port are for --serve"),
        ("evaluate --pictures a=. --style photo.png --photos nowhere --flicker -o out", "no model is given"),
        ("train photo.png nowhere -o out --estimate --devices 2", "--estimate measures one process"),
    ],
)
def test_options_that_would_do_nothing_are_refused(
    command: str, said: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command.split()) == 2
    assert said in capsys.readouterr().err
    assert [path.name for path in place.iterdir()] == ["photo.png"]


def test_a_file_whose_name_looks_like_an_option_is_told_how_to_be_given(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "photo.png").rename(place / "-photo.png")
    assert main(["stylize", "-photo.png", "-s", "udnie-tiny"]) == 2
    hint = capsys.readouterr().err.splitlines()[-1]
    assert hint == "hint: For the file of that name, give ./-photo.png."
    assert main(["stylize", "./-photo.png", "-s", "udnie-tiny"]) == 0


@pytest.mark.parametrize(
    "command",
    [
        "stylize photo.png -s udnie --size 20.5",
        "train photo.png . -o out --steps=2.0",
        "evaluate udnie --style photo.png --photos . --limit 1.5",
        "inspect maximize -o out.png --layer conv1_1 --channel 2.5",
    ],
)
def test_a_fraction_where_a_whole_number_is_expected_is_refused(
    command: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command.split()) == 2
    assert capsys.readouterr().err.endswith("expected a whole number\n")


def test_a_file_whose_name_looks_like_json_is_a_file(place: Path) -> None:
    for name in ("[1].png", '["photo.png"]', '{"photo": 1}'):
        Image.new("RGB", (32, 32), "white").save(place / name, "PNG")
    assert main(["stylize", "[1].png", '["photo.png"]', "-s", "udnie-tiny", "--mask", '{"photo": 1}', "-o", "out"]) == 0
    assert {path.name for path in (place / "out").iterdir()} == {"[1].png", '["photo.png'}


def test_an_empty_argument_is_not_the_current_folder(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stylize", "", "-s", "udnie-tiny"]) == 2
    assert capsys.readouterr().err.startswith("error: an argument is empty\nhint: ")


def test_more_threads_than_the_machine_has_do_not_hang(place: Path) -> None:
    assert main(["stylize", "photo.png", "-s", "udnie-tiny", "--threads", "1000000"]) == 0
