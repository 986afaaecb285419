"""Folders of photos shared among copies of the command."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fast_style.cli import main
from fast_style.errors import InputError
from fast_style.images import load_image
from fast_style.photos.ledger import Ledger
from fast_style.photos.shards import Shard, parse_shard

NAMES = st.lists(st.text(min_size=1), unique=True, max_size=40)


@settings(max_examples=30, deadline=None)
@given(NAMES, st.integers(1, 100))
def test_each_name_is_in_exactly_one_shard(names: list[str], count: int) -> None:
    for name in names:
        assert sum(Shard(number, count).holds(name) for number in range(1, count + 1)) == 1


@settings(max_examples=30, deadline=None)
@given(NAMES, NAMES, st.integers(1, 20))
def test_names_that_are_added_move_no_others(names: list[str], more: list[str], count: int) -> None:
    for number in range(1, count + 1):
        shard = Shard(number, count)
        before = {name for name in names if shard.holds(name)}
        assert {name for name in {*names, *more} if shard.holds(name)} & set(names) == before


def test_shards_are_of_nearly_the_same_size() -> None:
    sizes = [sum(Shard(number, 8).holds(f"photos/{each:06}.jpg") for each in range(8000)) for number in range(1, 9)]
    assert sum(sizes) == 8000
    assert min(sizes) > 880


def test_a_shard_is_the_same_in_every_version_and_on_every_machine() -> None:
    names = ("a.jpg", "b.jpg", "é.jpg", "a\udcff.jpg", "x/y.png")
    assert [[number for number in (1, 2, 3) if Shard(number, 3).holds(name)] for name in names] == [
        [2],
        [1],
        [3],
        [2],
        [2],
    ]


@pytest.mark.parametrize("text", ["4/3", "0/3", "1/0", "3", "-1/3"])
def test_a_shard_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_shard(text)
    hint = "Give a number from 1 on and how many there are, as 3/64."
    assert (str(caught.value), caught.value.hint) == (f"there is no shard {text}", hint)


def command(folder: Path, style: Path, *more: str) -> list[str]:
    out = str(folder.with_name("out"))
    return [sys.executable, "-m", "fast_style", "stylize", str(folder), "-s", str(style), "-o", out, "-j1", *more]


def records(folder: Path, style: Path, capsys: pytest.CaptureFixture[str], *more: str) -> list[dict[str, object]]:
    capsys.readouterr()
    main([*command(folder, style, *more, "--json")[3:]])
    found: list[dict[str, object]] = json.loads(capsys.readouterr().out)
    return found


def statuses(folder: Path) -> dict[str, str]:
    with (folder.with_name("out") / "status.csv").open(newline="") as file:
        return {Path(row["in"]).name: row["status"] for row in csv.DictReader(file)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    for number in range(24):
        place = tmp_path / "in" / ("deep" if number % 2 else "") / f"{number}.png"
        Image.new("RGB", (20 + number, 30), (number * 10, 10, 200)).save(place)
    return tmp_path / "in"


def test_shards_that_run_at_once_do_everything_once(
    folder: Path, negative: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    running = [
        subprocess.Popen(command(folder, negative, "--shard", f"{number}/2", "--json"), stdout=subprocess.PIPE)
        for number in (1, 2)
    ]
    found = [json.loads(process.communicate()[0]) for process in running]
    assert [process.returncode for process in running] == [0, 0]
    made = [record["input"] for shard in found for record in shard]
    assert len(made) == len(set(made)) == 24
    assert min(map(len, found)) > 0
    assert not any("skipped" in record for shard in found for record in shard)
    # Another number of shards, and none at all, know what they did.
    for more in (["--shard", "2/5"], ["--shard", "3/3"], []):
        assert all("skipped" in record for record in records(folder, negative, capsys, *more))


def test_the_ledgers_are_merged_into_one_report(
    folder: Path, negative: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "bad.jpg").write_bytes(b"no picture")
    assert main([*command(folder, negative, "--merge")[3:]]) == 2
    assert capsys.readouterr().err == "0 done, 0 failed, 25 left\n"
    some = records(folder, negative, capsys, "--shard", "1/2")
    assert main([*command(folder, negative, "--merge")[3:]]) == 1
    done = [Path(str(record["input"])).name for record in some if "error" not in record]
    assert [name for name, status in statuses(folder).items() if status == "done"] == done
    records(folder, negative, capsys, "--shard", "2/2")
    assert main([*command(folder, negative, "--merge")[3:]]) == 1
    said = capsys.readouterr()
    assert (said.out, said.err) == (f"{folder.with_name('out') / 'status.csv'}\n", "24 done, 1 failed, 0 left\n")
    with (folder.with_name("out") / "status.csv").open(newline="") as file:
        (bad,) = [row for row in csv.DictReader(file) if row["status"] == "failed"]
    assert "bad.jpg is not a picture that can be read. " in bad["error"]
    assert main([*command(folder, negative, "--merge", "--blend", "0.5")[3:]]) == 2  # nothing is done like that
    (folder / "bad.jpg").unlink()
    assert main([*command(folder, negative, "--merge")[3:]]) == 0


def test_shards_are_for_folders(folder: Path, negative: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["stylize", str(folder / "0.png"), "-s", str(negative)]
    for option, said in (
        ("--shard=1/2", "only folders of photos can be divided into shards"),
        ("--merge", "only folders of photos"),
    ):
        assert main([*arguments, option]) == 2
        error, hint = capsys.readouterr().err.splitlines()
        assert error.startswith(f"error: {said}")
        assert hint.startswith("hint: ")


def test_a_shard_that_holds_nothing_is_done(folder: Path, negative: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in folder.rglob("*.png"):
        if path.name != "0.png":
            path.unlink()
    (empty,) = [number for number in (1, 2) if not Shard(number, 2).holds("0.png")]
    assert main([*command(folder, negative, "--shard", f"{empty}/2")[3:]]) == 0
    assert capsys.readouterr().err.startswith("0 stylized, 0 failed")


# Kills itself as soon as it has written so many results, whether or not it could say so: from outside, a busy machine
# may come too late.
KILLED = """
import os, signal, sys
from pathlib import Path
from fast_style.cli import main

enough, replace, written = int(sys.argv[1]), Path.replace, []

def replace_and_count(path, target):
    moved = replace(path, target)
    written.extend([target] if target.suffix == ".png" else [])
    if len(written) == enough:
        os.kill(os.getpid(), signal.SIGKILL)
    return moved

Path.replace = replace_and_count
main(sys.argv[2:])
"""


def test_a_killed_shard_loses_nothing_and_does_nothing_twice(
    folder: Path, negative: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = folder.with_name("out")
    for number in range(150):
        (folder / f"more-{number}.png").symlink_to(folder / "0.png")
    kept: dict[Path, int] = {}
    for enough in (20, 60):
        child = [sys.executable, "-c", KILLED, str(enough), *command(folder, negative)[3:]]
        assert subprocess.run(child, stderr=subprocess.DEVNULL, check=False).returncode == -signal.SIGKILL
        times = {path: path.stat().st_mtime_ns for path in out.rglob("[!.]*.png")}
        assert len(kept) + enough <= len(times) < 174
        assert kept.items() <= times.items()
        kept = times
    for path in kept:
        load_image(path)
    found = records(folder, negative, capsys)
    assert len(found) == 174
    assert [record for record in found if "error" in record] == []
    assert sum("skipped" in record for record in found) == len(kept)
    assert kept.items() <= {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}.items()
    assert len(list(out.rglob("*.png"))) == 174  # no half of a file is left


def ends_between_result_and_line(home: Path, result: Path, *, before: bytes | None) -> Ledger:
    """A worker begins a result, makes it, and is killed before it can say so."""
    if before is not None:
        result.write_bytes(before)
    ledger = Ledger(home, {"blend": 0.5}, own="-dead")
    ledger.begin(ledger.look("photo", result.name))
    result.write_bytes(b"the result")
    os.utime(result, (1, 1))
    return Ledger(home, {"blend": 0.5}, own="-next")


@pytest.mark.parametrize("before", [None, b"older"])
def test_a_result_whose_worker_was_killed_before_it_could_say_so_is_done(tmp_path: Path, before: bytes | None) -> None:
    (tmp_path / "photo").write_bytes(b"photo")
    ledger = ends_between_result_and_line(tmp_path, tmp_path / "result", before=before)
    assert ledger.skips(ledger.look("photo", "result"))
    (entry,) = [each for each in [Ledger(tmp_path, {"blend": 0.5}).latest("result")] if each is not None]
    assert entry.kind == "done"
    (tmp_path / "photo").write_bytes(b"another photo")
    later = Ledger(tmp_path, {"blend": 0.5})
    assert not later.skips(later.look("photo", "result"))


def test_what_was_there_before_a_killed_worker_began_is_not_taken_for_its_result(tmp_path: Path) -> None:
    (tmp_path / "photo").write_bytes(b"photo")
    (tmp_path / "result").write_bytes(b"someone's")
    ledger = Ledger(tmp_path, {"blend": 0.5}, own="-dead")
    ledger.begin(ledger.look("photo", "result"))
    later = Ledger(tmp_path, {"blend": 0.5}, own="-next")
    with pytest.raises(InputError, match="result exists"):
        later.skips(later.look("photo", "result"))


def test_what_another_worker_has_just_made_is_done(tmp_path: Path) -> None:
    (tmp_path / "photo").write_bytes(b"photo")
    one, other = (Ledger(tmp_path, {"blend": 0.5}, own=own) for own in ("-one", "-other"))
    work = one.look("photo", "result")
    one.begin(work)
    (tmp_path / "result").write_bytes(b"the result")
    one.end(work, 0.1, "")
    assert other.skips(other.look("photo", "result"))


def test_half_a_line_spoils_no_other(tmp_path: Path) -> None:
    (tmp_path / "result").write_bytes(b"the result")
    (tmp_path / ".fast-style.jsonl").write_text('["other", "do')
    ledger = Ledger(tmp_path, {"blend": 0.5})
    ledger.end(ledger.look("photo", "result"), 0.1, "")
    later = Ledger(tmp_path, {"blend": 0.5})
    assert later.is_done(later.look("photo", "result"))


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are any bytes on Linux")
def test_the_status_of_a_photo_whose_name_is_not_text_is_written(tmp_path: Path, negative: Path) -> None:
    (tmp_path / "in").mkdir()
    name = b"a\xff.png"
    Image.new("RGB", (20, 20)).save(tmp_path / "in" / os.fsdecode(name))
    command = ["stylize", str(tmp_path / "in"), "--style", str(negative), "-o", str(tmp_path / "out")]
    assert main(command) == 0
    assert main([*command, "--merge"]) == 0
    assert name in (tmp_path / "out/status.csv").read_bytes()
