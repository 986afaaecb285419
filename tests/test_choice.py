"""scripts/choice: sheets that do not tell which set a picture is of, and tables of known answers."""

import csv
import json
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

script = runpy.run_path(str(Path(__file__).parents[1] / "scripts" / "choice"), run_name="choice")
choose: Callable[[list[str]], int] = script["main"]
PHOTOS = [f"p{number}" for number in range(6)]
SIDE = 160


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Paintings, photos, red pictures of the set ours, and green ones of theirs."""
    for folder, color in {"photos": "gray", "red": "red", "green": "green"}.items():
        (tmp_path / folder).mkdir()
        for photo in PHOTOS:
            image = Image.new("RGB", (SIDE, SIDE), color)
            image.info["comment"] = b"drawn by ours"
            image.save(tmp_path / folder / f"{photo}.{'jpg' if folder == 'photos' else 'png'}")
    for painting in ("waves", "stars"):
        Image.new("RGB", (300, 200), "blue").save(tmp_path / f"{painting}.jpg")
    return tmp_path


def make(folders: Path, painting: str = "waves", *options: str, out: str = "out") -> int:
    words = [str(folders / out), "--painting", str(folders / f"{painting}.jpg"), "--photos", str(folders / "photos")]
    sets = ["--a", f"ours={folders / 'red'}", "--b", f"theirs={folders / 'green'}"]
    return choose(["make", *words, *sets, *options])


def key_of(folders: Path, out: str = "out") -> dict[str, Any]:
    key: dict[str, Any] = json.loads((folders / out / "key.json").read_text())["sheets"]
    return key


def is_red_left(sheet: Path) -> bool:
    """Whether the lower left picture of a sheet is the red one."""
    pixels = np.asarray(Image.open(sheet).convert("RGB")).astype(int)
    left, right = pixels[-SIDE // 2, pixels.shape[1] // 4], pixels[-SIDE // 2, 3 * pixels.shape[1] // 4]
    assert (left[0] > 200) != (right[0] > 200)
    return bool(left[0] > 200)


def fill(folders: Path, name: str, answer: Callable[[dict[str, str]], list[str]], *, out: str = "out") -> Path:
    """Write a judge's form with the answers to each sheet of the key: hand, photo, wall, fault1, fault2."""
    path = folders / name
    with path.open("w", newline="") as file:
        rows = [[number, *answer(sheet)] for number, sheet in key_of(folders, out).items()]
        csv.writer(file).writerows([script["FORM"], *rows])
    return path


def side(sheet: dict[str, str], name: str) -> str:
    return "1" if sheet["1"] == name else "2"


def test_a_sheet_shows_both_pictures_at_full_size_on_the_sides_that_the_key_says(folders: Path) -> None:
    assert make(folders) == 0
    sheets = sorted((folders / "out/sheets").glob("*.jpg"))
    assert [path.stem for path in sheets] == list(key_of(folders)) == [f"00{number}" for number in range(1, 7)]
    for path in sheets:
        assert is_red_left(path) == (key_of(folders)[path.stem]["1"] == "ours")
        pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
        red = (abs(pixels - (255, 0, 0)) < 40).all(axis=-1)
        assert red.sum() == pytest.approx(SIDE**2, rel=0.02)
    assert sorted(sheet["photo"] for sheet in key_of(folders).values()) == PHOTOS


def test_sides_and_order_are_random_balanced_and_follow_the_seed(folders: Path) -> None:
    for out, seed in (("a", "1"), ("b", "1"), ("c", "2"), ("d", "3")):
        assert make(folders, "waves", "--seed", seed, out=out) == 0
    keys = [key_of(folders, out) for out in "abcd"]
    assert keys[0] == keys[1]
    assert keys[0] not in keys[2:]
    for key in keys:
        assert [sheet["1"] for sheet in key.values()].count("ours") == len(PHOTOS) / 2


def test_what_the_judge_gets_names_neither_set(folders: Path) -> None:
    make(folders)
    files = list((folders / "out/sheets").iterdir())
    assert {path.name for path in files if path.suffix != ".jpg"} == {"README.txt", "answers.csv"}
    for path in files:
        for name in (b"ours", b"theirs", b"red", b"green"):
            assert name not in path.read_bytes() + path.name.encode()
        if path.suffix == ".jpg":
            with Image.open(path) as sheet:
                assert set(sheet.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    assert (folders / "out/sheets/answers.csv").read_text().splitlines()[:2] == [
        "sheet,hand,photo,wall,fault1,fault2",
        "001,,,,,",
    ]


def test_another_painting_goes_on_with_other_sides_and_keeps_the_answers(folders: Path) -> None:
    make(folders)
    first = key_of(folders)
    form = folders / "out/sheets/answers.csv"
    form.write_text(form.read_text().replace("002,,,,,", "002,1,2,0,fog,"))
    assert make(folders, "stars") == 0
    key = key_of(folders)
    assert list(key) == [f"{number:03d}" for number in range(1, 13)]
    assert {number: key[number] for number in first} == first
    photos = [[sheet["photo"] for sheet in list(key.values())[part]] for part in (slice(6), slice(6, 12))]
    assert photos[0] != photos[1]
    assert {key[number]["painting"] for number in list(key)[6:]} == {"stars"}
    lines = form.read_text().splitlines()
    assert (len(lines), lines[2], lines[12]) == (13, "002,1,2,0,fog,", "012,,,,,")


def test_known_winners_give_the_known_table(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(folders)
    make(folders, "stars")

    def first_judge(sheet: dict[str, str]) -> list[str]:
        # By the hand ours always wins; the photo is even; theirs hangs on the wall, except once.
        wall = "ours" if (sheet["painting"], sheet["photo"]) == ("stars", "p0") else "theirs"
        faults = {"ours": "Mesh; fog", "theirs": "frame"}
        return [side(sheet, "ours"), "0", side(sheet, wall), faults[sheet["1"]], faults[sheet["2"]]]

    one = fill(folders, "one.csv", first_judge)
    two = fill(folders, "two.csv", lambda sheet: [side(sheet, "theirs"), "", side(sheet, "theirs"), "", ""])
    capsys.readouterr()
    assert choose(["score", str(folders / "out"), str(one), str(two)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    # Wilson's interval of 6 of 6 is 0.61 to 1, of 12 of 12 0.76 to 1, of 12 of 24 0.31 to 0.69.
    waves = [["waves", "6:0:0", "1.00", "(0.61-1.00)", "0:0:6", "0.50", "(0.19-0.81)", "0:6:0", "0.00", "(0.00-0.39)"]]
    stars = [["stars", "6:0:0", "1.00", "(0.61-1.00)", "0:0:6", "0.50", "(0.19-0.81)", "1:5:0", "0.17", "(0.03-0.56)"]]
    all_ = [["all", "12:0:0", "1.00", "(0.76-1.00)", "0:0:12", "0.50", "(0.25-0.75)", "1:11:0", "0.08", "(0.01-0.35)"]]
    at = lines.index([str(one)])
    assert lines[at + 1] == ["hand", "photo", "wall"]
    assert lines[at + 2 : at + 5] == [*waves, *stars, *all_]
    at = lines.index(["together"])
    assert lines[at + 4][:5] == ["all", "12:12:0", "0.50", "(0.31-0.69)", "0:0:12"]
    assert [" ".join(line) for line in lines[-2:]] == ["faults of ours: mesh 12, fog 12", "faults of theirs: frame 12"]


def test_wilsons_interval_is_the_published_one() -> None:
    # Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    for wins, count, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)):
        assert script["wilson"](wins, count) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("001,3,,,,", "hand of sheet 001 is '3'; expected 1, 2 or 0"),
        ("099,1,,,,", "has sheet 099 1 times"),
        ("001,1,,,,\n1,2,,,,", "has sheet 001 2 times"),
        ("001,1,,", "cannot read the answers"),
    ],
)
def test_a_form_that_is_filled_in_wrongly_is_refused(
    folders: Path, capsys: pytest.CaptureFixture[str], line: str, message: str
) -> None:
    make(folders)
    form = folders / "form.csv"
    form.write_text(f"{','.join(script['FORM'])}\n{line}\n")
    assert choose(["score", str(folders / "out"), str(form)]) == 2
    assert message in capsys.readouterr().err


def test_pictures_that_cannot_be_compared_are_refused(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def error(*options: str) -> str:
        assert make(folders, "waves", *options) == 2
        return capsys.readouterr().err

    make(folders)
    assert "cannot compare ours with others" in error("--b", f"others={folders / 'green'}")
    assert "cannot compare ours with ours" in error("--b", f"ours={folders / 'green'}")
    Image.new("RGB", (SIDE + 8, SIDE - 8)).save(folders / "green/p1.png")
    assert make(folders) == 0
    Image.new("RGB", (SIDE, SIDE + 17)).save(folders / "green/p1.png")
    assert "160×177 px" in error()
    (folders / "green/p1.png").rename(folders / "green/p0.jpg")
    assert "several pictures called p0" in error()
    (folders / "green/p0.jpg").unlink()
    assert "theirs has no picture of p1" in error()
    assert choose(["score", str(folders)]) == 2
    assert "cannot read the key" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        make(folders, "waves", "--a", "ours")
    assert "'ours' is not NAME=DIR" in capsys.readouterr().err
