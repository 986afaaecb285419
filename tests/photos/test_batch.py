"""Photos that a manifest lists: here, in copies of the command, and on Ray."""

import csv
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fast_style.cli import main
from fast_style.images import load_image, save_image
from fast_style.photos.batch import Batch, Worker, run_batch
from fast_style.photos.manifest import read_rows
from fast_style.photos.on_ray import Actor, run_on_ray
from fast_style.photos.run import PhotoOptions
from fast_style.photos.shards import Shard
from fast_style.stylize.options import StyleOptions

PHOTOS = 12


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with photos, and a manifest of them."""
    (tmp_path / "in").mkdir()
    pairs = []
    for number in range(PHOTOS):
        Image.new("RGB", (20 + number, 30), (number * 10, 10, 200)).save(tmp_path / f"in/{number}.png")
        pairs.append((f"in/{number}.png", f"out/{number}.png"))
    write_csv(tmp_path / "list.csv", pairs)
    return tmp_path


def write_csv(path: Path, pairs: list[tuple[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("in", "out"), *pairs])


def run(manifest: Path | str, style: Path, *more: str) -> int:
    return main(["batch", str(manifest), "--style", str(style), *more])


def status(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def check_pictures(place: Path, number: int = PHOTOS) -> None:
    assert len(list((place / "out").iterdir())) == number
    for photo in (place / "in").glob("*.png"):
        np.testing.assert_array_equal(load_image(place / "out" / photo.name).pixels, 255 - load_image(photo).pixels)


def test_every_photo_of_a_manifest_is_stylized_once(
    place: Path, negative: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(place / "list.csv", negative) == 0
    told = capsys.readouterr()
    file = place / "list-status/status.csv"
    assert told.out == f"{file}\n"
    assert told.err.startswith("12 stylized, 0 failed in ")
    check_pictures(place)
    rows = status(file)
    assert [list(row) for row in rows] == [["in", "out", "status", "error", "seconds"]] * PHOTOS
    assert [(row["in"], row["out"]) for row in rows] == [(row.source, row.target) for row in read_rows(file)]
    assert {(row["status"], row["error"]) for row in rows} == {("done", "")}
    assert all(float(row["seconds"]) > 0 for row in rows)
    assert run(place / "list.csv", negative) == 0
    assert capsys.readouterr().err.startswith("0 stylized, 12 done before, 0 failed")


def test_what_is_new_or_changed_is_made_again(place: Path, negative: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(place / "list.csv", negative)
    Image.new("RGB", (40, 40), (1, 2, 3)).save(place / "in/0.png")
    (place / "out/1.png").unlink()
    capsys.readouterr()
    assert run(place / "list.csv", negative) == 0
    assert capsys.readouterr().err.startswith("2 stylized, 10 done before, 0 failed")
    check_pictures(place)


def test_results_of_another_style_or_other_settings_are_kept_unless_they_may_be_overwritten(
    place: Path, negative: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(place / "list.csv", negative)
    before = {path: path.read_bytes() for path in place.glob("out/*.png")}
    capsys.readouterr()
    assert run(place / "list.csv", negative, "--blend", "0.5") == 2
    said = capsys.readouterr().err
    assert said.count("was painted in another style or with other settings. Give another -o to keep it") == 12
    assert {path: path.read_bytes() for path in place.glob("out/*.png")} == before
    assert run(place / "list.csv", negative, "--blend", "0.5", "--force") == 0
    assert capsys.readouterr().err.startswith("12 stylized, 0 failed")
    assert run(place / "list.csv", negative, "--blend", "0.5") == 0
    assert capsys.readouterr().err.startswith("0 stylized, 12 done before")


def test_later_frames_that_are_left_out_are_told(
    place: Path, negative: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = [Image.new("RGB", (20, 20), color) for color in ("red", "green", "blue")]
    frames[0].save(place / "in/moving.webp", save_all=True, append_images=frames[1:])
    pairs = [("in/moving.webp", "out/still.jpg"), ("in/moving.webp", "out/moving.webp"), ("in/0.png", "out/0.png")]
    write_csv(place / "list.csv", pairs)
    assert run(place / "list.csv", negative) == 0
    line = "left out: later frames of animations, or pages (2): only the first is painted"
    assert line in capsys.readouterr().err.splitlines()


def test_a_manifest_may_lie_anywhere(place: Path, negative: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "elsewhere").mkdir()
    monkeypatch.chdir(place / "elsewhere")
    assert run("../list.csv", negative, "--status", "told") == 0
    check_pictures(place)
    assert Path("told/status.csv").is_file()


def test_bad_rows_are_rows_and_no_failures(place: Path, negative: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "in/bad.jpg").write_bytes(b"no picture")
    (place / "in/damaged.png").write_bytes((place / "in/0.png").read_bytes()[:60])
    (place / "there.png").write_bytes(b"mine")
    (place / "file").write_bytes(b"")
    said = {
        ("in/none.png", "out/none.png"): "in/none.png does not exist",
        (
            "in/bad.jpg",
            "out/bad.jpg",
        ): "not a picture that can be read. Supported: JPEG, PNG, WebP, AVIF, HEIC, BMP, TIFF and GIF.",
        ("in/damaged.png", "out/damaged.png"): "the file is damaged",
        (
            "in/0.png",
            "out/0.mp4",
        ): "cannot write {place}/out/0.mp4: unsupported suffix .mp4. Use .png, .jpg, .webp or .tif.",
        ("in", "out/folder.png"): "in is a folder; expected a picture",
        ("in/0.png", "there.png"): "there.png exists. Give --force to overwrite it.",
        ("in/0.png", "file/0.png"): "cannot write {place}/file/0.png: ",
        ("", "out/x.png"): "row 8 has no in. Fill it in.",
        ("in/0.png", ""): "row 9 has no out. Fill it in.",
        ("n" * 300, "out/g.png"): "cannot look at ",
        ("in/0.png", "out/good.png"): "",
        ("in/1.png", "out/./good.png"): "rows 11 and 12 both go to out/good.png. Give each an out of its own.",
        ("in/1.png", "in/./1.png"): "row 13 would be written over its own photo. Give another out.",
    }
    write_csv(place / "bad.csv", list(said))
    assert run(place / "bad.csv", negative, "--jobs", "1") == 1
    capsys.readouterr()
    rows = status(place / "bad-status/status.csv")
    for row, expected in zip(rows, said.values(), strict=True):
        if row["in"].startswith("nnn"):  # a place that cannot be looked at is looked at again
            assert row["status"] == "left"
            continue
        assert expected.format(place=place) in row["error"], row
        assert row["status"] == ("failed" if expected else "done")
    assert (place / "there.png").read_bytes() == b"mine"
    assert load_image(place / "out/good.png").size == (20, 30)
    assert sorted(path.name for path in (place / "out").iterdir()) == ["good.png"]
    write_csv(place / "worse.csv", [("none.png", "out/none.png")])
    assert run(place / "worse.csv", negative) == 2
    assert "error: " in capsys.readouterr().err


def test_a_picture_that_claims_to_be_huge_is_a_row(place: Path, negative: Path) -> None:
    assert run(place / "list.csv", negative, "--max-megapixels", "0") == 2
    Image.new("1", (4000, 3000)).save(place / "in/0.png")
    assert run(place / "list.csv", negative, "--max-megapixels", "11") == 1
    (bad,) = [row for row in status(place / "list-status/status.csv") if row["status"] == "failed"]
    assert "0.png: 4000×3000 px is too large; at most 11 megapixels are read" in bad["error"]


@pytest.mark.parametrize(
    ("name", "content", "message", "hint"),
    [
        ("a.csv", b"photo,result\nx,y\n", "has the columns photo, result; expected in and out", "in,out"),
        (
            "a.csv",
            b"in;out\nx;y\n",
            "has the columns in;out; expected in and out",
            "Separate columns by commas: in,out.",
        ),
        ("a.csv", b"in\tout\nx\ty\n", "expected in and out", "Separate columns by commas: in,out."),
        ("a.csv", b"", "has the columns none; expected in and out", "in,out"),
        ("a.csv", b"in,out\n", "has no rows", "Each row"),
        ("a.csv", b"in,out\n\xff,y\n", "is not UTF-8 text", "UTF-8"),
        ("a.csv", b'in,out\n"x,y\n', "line 1: unexpected end of data", "not CSV"),
        ("none.csv", None, "none.csv: No such file or directory", None),
    ],
)
def test_a_manifest_that_cannot_be_used_is_refused(
    name: str,
    content: bytes | None,
    message: str,
    hint: str | None,
    tmp_path: Path,
    negative: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert run(tmp_path / name, negative) == 2
    error, *hints = capsys.readouterr().err.splitlines()
    assert error.startswith("error: ")
    assert message in error
    assert (hint is None) == (not hints)
    assert hint is None or hint in hints[0]


def test_this_folder_is_not_a_manifest(
    place: Path, negative: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    assert run(".", negative) == 2
    assert capsys.readouterr().err == "error: cannot read .: Is a directory\n"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--shard 4/3", "there is no shard 4/3"),
        ("--actors 2", "--actors is for --on ray"),
        ("--on ray --jobs 2", "--jobs is for one process"),
        ("--on ray --actors 0", "actors is 0"),
        ("--format png", "Unknown option: --format"),
        ("--merge --force", "--merge stylizes nothing"),
        ("--jobs 0", "jobs is 0"),
        ("--style none", "'none' is neither the name of a style nor a file"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    options: str, said: str, place: Path, negative: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    style = [] if "--style" in options else ["--style", str(negative)]
    assert main(["batch", str(place / "list.csv"), *style, *options.split()]) == 2
    assert said in capsys.readouterr().err
    assert not (place / "out").exists()


def test_shards_of_a_manifest_are_disjoint_and_complete(place: Path, negative: Path) -> None:
    rows = [set(read_rows(place / "list.csv", Shard(number, 5))) for number in range(1, 6)]
    assert sum(map(len, rows)) == len(set().union(*rows)) == PHOTOS
    for number in (1, 2, 3):
        assert run(place / "list.csv", negative, "--shard", f"{number}/3") == 0
        assert len(status(place / f"list-status/status-{number}-of-3.csv")) > 0
    check_pictures(place)
    assert not (place / "list-status/status.csv").exists()
    assert run(place / "list.csv", negative, "--merge") == 0
    assert {row["status"] for row in status(place / "list-status/status.csv")} == {"done"}
    assert len(list((place / "list-status").glob(".fast-style-*.jsonl"))) == 3


def test_rows_that_claim_one_result_are_in_one_shard(place: Path) -> None:
    write_csv(place / "twice.csv", [(f"in/{number}.png", "out/same.png") for number in range(PHOTOS)])
    found = [list(read_rows(place / "twice.csv", Shard(number, 4))) for number in range(1, 5)]
    assert sorted(map(len, found)) == [0, 0, 0, PHOTOS]
    assert sum(not row.error for rows in found for row in rows) == 1


@pytest.mark.parametrize("shard", [Shard(), Shard(1, 2), Shard(2, 2)])
@pytest.mark.parametrize(
    ("source", "target"),
    [("in/1.png", "out/1.png"), ("{place}/in/1.png", "out/1.png"), ("link/1.png", "out/1.png")],
)
def test_no_row_is_written_over_the_photo_of_another_in_any_shard(
    source: str, target: str, shard: Shard, place: Path
) -> None:
    (place / "link").symlink_to("in", target_is_directory=True)
    write_csv(place / "chain.csv", [("in/0.png", "in/1.png"), (source.format(place=place), target)])
    errors = {row.target: row.error for row in read_rows(place / "chain.csv", shard)}
    said = "row 1 would be written over a photo that the list names. Give another out."
    expected = {"in/1.png": said, "out/1.png": ""}
    assert errors == {name: error for name, error in expected.items() if shard.holds(name)}


def test_force_overwrites_results_and_no_photo_of_the_list(place: Path, negative: Path) -> None:
    before = (place / "in/1.png").read_bytes()
    write_csv(place / "chain.csv", [("in/0.png", "in/1.png"), ("in/1.png", "out/1.png")])
    assert run(place / "chain.csv", negative, "--force") == 1
    assert (place / "in/1.png").read_bytes() == before
    assert [row["status"] for row in status(place / "chain-status/status.csv")] == ["failed", "done"]


def test_an_absolute_in_and_a_relative_out_may_not_be_one_file(place: Path) -> None:
    write_csv(place / "own.csv", [(f"{place}/in/1.png", "in/1.png"), ("in/\0.png", "out/\0.png")])
    first, second = read_rows(place / "own.csv")
    assert first.error == "row 1 would be written over its own photo. Give another out."
    assert not second.error  # no file can have that name: the photo says so


def test_copies_killed_in_the_middle_lose_nothing_and_do_nothing_twice(place: Path, negative: Path) -> None:
    photos = 400
    for number in range(PHOTOS, photos):
        (place / f"in/{number}.png").symlink_to(place / "in/3.png")
    write_csv(place / "list.csv", [(f"in/{number}.png", f"out/{number}.png") for number in range(photos)])
    # Nice, so that on a busy machine this process still sees the middle.
    command = ["nice", sys.executable, "-m", "fast_style", "batch", str(place / "list.csv"), "-s", str(negative), "-j1"]
    running = [
        subprocess.Popen([*command, "--shard", f"{number}/2"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        for number in (1, 2)
    ]
    while len(list((place / "out").glob("[!.]*.png"))) < 60:
        assert any(process.poll() is None for process in running)
        time.sleep(0.005)
    for process in running:
        process.send_signal(signal.SIGKILL)
    # One may have ended before the other began.
    assert {-signal.SIGKILL} <= {process.wait() for process in running} <= {-signal.SIGKILL, 0}
    kept = {path: path.stat().st_mtime_ns for path in (place / "out").glob("[!.]*.png")}
    assert 60 <= len(kept) < photos
    found = list(run_batch(Batch(place / "list.csv", place / "list-status", StyleOptions(negative), PhotoOptions())))
    assert len(found) == len({row.target for row in found}) == photos
    assert {row.status for row in found} == {"done"}
    assert sum(row.skipped for row in found) == len(kept)
    assert kept.items() <= {path: path.stat().st_mtime_ns for path in (place / "out").glob("[!.]*.png")}.items()
    assert run(place / "list.csv", negative, "--merge") == 0


def test_a_mistake_of_ours_ends_one_row_only(place: Path, negative: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(picture: Any, target: Path, **options: Any) -> None:
        if target.name == "3.png":
            raise ZeroDivisionError("division by zero")
        save_image(picture, target, **options)

    monkeypatch.setattr("fast_style.photos.run.save_image", fail)
    assert run(place / "list.csv", negative) == 1
    (bad,) = [row for row in status(place / "list-status/status.csv") if row["status"] == "failed"]
    assert bad["error"] == "ZeroDivisionError: division by zero. This is a bug in fast-style."


def test_a_row_whose_workers_die_is_given_up(place: Path, negative: Path) -> None:
    batch = Batch(place / "list.csv", place / "list-status", StyleOptions(negative), PhotoOptions())
    for _ in range(3):
        worker = Worker(batch, deaths=3)
        worker.ledger.begin(worker.ledger.look("in/3.png", "out/3.png"))
    found = list(map(Worker(batch, deaths=3), read_rows(batch.manifest)))
    (bad,) = [row for row in found if row.status == "failed"]
    hint = "Check whether memory ran out; --force tries again."
    assert bad.error == f"3 workers crashed while processing in/3.png. {hint}"
    assert sum(row.status == "done" for row in found) == PHOTOS - 1


def test_actors_in_another_folder_find_what_is_named(
    place: Path, negative: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fast_style.photos.on_ray._statuses", lambda batch, rows, actors: [batch])
    errors = SimpleNamespace(RayError=RuntimeError)
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(is_initialized=lambda: True, exceptions=errors))
    monkeypatch.setitem(sys.modules, "ray.exceptions", errors)
    (place / "negative.onnx").write_bytes(negative.read_bytes())
    Image.new("L", (20, 30), 255).save(place / "mask.png")
    monkeypatch.chdir(place)
    options = PhotoOptions(masks=(Path("mask.png"),))
    (batch,) = run_on_ray(Batch(Path("list.csv"), Path("status"), StyleOptions("negative.onnx:2"), options))
    assert isinstance(batch, Batch)  # in place of what became of rows
    monkeypatch.chdir("/")
    Actor(batch, str(place))  # opens the style
    assert [batch.manifest, batch.home, *batch.options.masks] == [
        place / "list.csv",
        place / "status",
        place / "mask.png",
    ]


def descendants(number: int) -> list[int]:
    """The processes that a process started, and those that these did."""
    children = [
        int(child) for path in Path(f"/proc/{number}/task").glob("*/children") for child in path.read_text().split()
    ]
    return children + [each for child in children for each in descendants(child)]


def title(number: int) -> bytes:
    return Path(f"/proc/{number}/cmdline").read_bytes()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finding the actor's process takes Linux")
@pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed")
def test_actors_of_ray_stylize_what_is_left_even_if_one_is_killed(place: Path, negative: Path) -> None:
    photos = 300
    for number in range(PHOTOS, photos):
        (place / f"in/{number}.png").symlink_to(place / "in/3.png")
    pairs = [(f"in/{number}.png", f"out/{number}.png") for number in range(photos)]
    pages = [Image.new("RGB", (20, 20), color) for color in ("red", "green", "blue")]
    pages[0].save(place / "in/pages.tif", save_all=True, append_images=pages[1:])
    write_csv(place / "list.csv", [*pairs, ("in/none.png", "out/none.png"), ("in/pages.tif", "out/pages.png")])
    run(place / "list.csv", negative, "--shard", "1/3")
    before = {path: path.stat().st_mtime_ns for path in (place / "out").iterdir()}
    # In a process of its own: Ray leaves threads and warnings behind.
    command = ["nice", sys.executable, "-W", "ignore", "-m", "fast_style", "batch", str(place / "list.csv")]
    command += ["-s", str(negative), "--on", "ray", "--actors", "1"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None and len(list((place / "out").glob("[!.]*.png"))) < len(before) + 40:
            time.sleep(0.002)
        (actor,) = [number for number in descendants(process.pid) if b"MapWorker" in title(number)]
        os.kill(actor, signal.SIGKILL)
        kept = {path: path.stat().st_mtime_ns for path in (place / "out").glob("[!.]*.png")}
        said = process.communicate(timeout=120)[1]
    assert process.returncode == 1, said
    assert f"error: {place}/in/none.png does not exist" in said
    assert "left out: later frames of animations, or pages (2)" in said
    assert len(kept) < photos
    assert kept.items() <= {path: path.stat().st_mtime_ns for path in (place / "out").iterdir()}.items()
    assert before.items() <= {path: path.stat().st_mtime_ns for path in (place / "out").iterdir()}.items()
    check_pictures(place, photos + 1)
    assert run(place / "list.csv", negative, "--merge") == 1
    assert sum(row["status"] == "done" for row in status(place / "list-status/status.csv")) == photos + 1


@pytest.mark.parametrize("count", [1, 5])
def test_one_result_by_two_names_is_found(place: Path, count: int) -> None:
    write_csv(place / "list.csv", [("in/0.png", "out/r.png"), ("in/1.png", str(place / "out/r.png"))])
    shards = [Shard(number, count) for number in range(1, count + 1)]
    first, second = sorted((row for shard in shards for row in read_rows(place / "list.csv", shard)), key=str)
    assert first.error == ""
    assert second.error == f"rows 1 and 2 both go to {place}/out/r.png. Give each an out of its own."
