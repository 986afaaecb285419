import builtins
import io
import json
import os
import pickle
import random
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fast_style import Stylizer
from fast_style.cli import main
from fast_style.errors import FastStyleError, FileError, ImageError, InputError, ModelError
from fast_style.images import Picture, find_images, load_image
from fast_style.photos.jobs import Job
from fast_style.photos.ledger import NAME, Ledger
from fast_style.photos.run import PhotoOptions, PhotoOutcome, settings_key, stylize_photos
from fast_style.pipeline import Budget
from fast_style.stylize.options import StyleOptions
from tests.conftest import write_style


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    for number in range(6):
        place = tmp_path / "in" / ("deep" if number % 2 else "") / f"{number}.png"
        Image.new("RGB", (20 + number, 30), (number * 30, 10, 200)).save(place)
    return tmp_path / "in"


def run(folder: Path, style: Path, *, force: bool = False, blend: float = 1.0) -> list[PhotoOutcome]:
    out = folder.with_name("out")
    jobs = [Job(path, out / path.relative_to(folder), out) for path in find_images(folder)]
    return list(stylize_photos(jobs, StyleOptions(style), PhotoOptions(blend=blend), jobs_at_once=3, force=force))


def test_every_photo_of_a_folder_is_stylized_in_order(folder: Path, negative: Path) -> None:
    outcomes = run(folder, negative)
    assert [outcome.job.source for outcome in outcomes] == find_images(folder)
    for outcome in outcomes:
        photo, result = load_image(outcome.job.source).pixels, load_image(outcome.job.target).pixels
        assert (result == 255 - photo).all()


def test_a_photo_is_opened_once(folder: Path, negative: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: Counter[str] = Counter()
    opens = io.open

    def count(file: Any, *rest: Any, **more: Any) -> Any:
        if not isinstance(file, int):
            opened[os.fspath(file)] += 1
        return opens(file, *rest, **more)

    monkeypatch.setattr(io, "open", count)
    monkeypatch.setattr(builtins, "open", count)
    run(folder, negative)
    assert [opened[str(photo)] for photo in find_images(folder)] == [1] * 6


def test_a_second_run_makes_only_what_is_new_or_changed(folder: Path, negative: Path) -> None:
    run(folder, negative)
    assert all(outcome.skipped for outcome in run(folder, negative))
    Image.new("RGB", (40, 40), (1, 2, 3)).save(folder / "0.png")
    Image.new("RGB", (40, 40), (4, 5, 6)).save(folder / "new.png")
    made = [outcome.job.source.name for outcome in run(folder, negative) if not outcome.skipped]
    assert made == ["0.png", "new.png"]
    assert load_image(folder.with_name("out") / "0.png").pixels[0, 0].tolist() == [254, 253, 252]
    assert not any(outcome.skipped for outcome in run(folder, negative, blend=0.5))
    assert not any(outcome.skipped for outcome in run(folder, negative, blend=0.5, force=True))


def test_a_result_that_someone_else_changed_is_not_overwritten(folder: Path, negative: Path) -> None:
    run(folder, negative)
    changed = folder.with_name("out") / "0.png"
    changed.write_bytes(b"mine")
    (outcome,) = [outcome for outcome in run(folder, negative) if not outcome.skipped]
    assert "exists" in str(outcome.error)
    assert changed.read_bytes() == b"mine"


def test_a_damaged_ledger_costs_work_not_results(folder: Path, negative: Path) -> None:
    run(folder, negative)
    ledger = folder.with_name("out") / ".fast-style.jsonl"
    lines = ledger.read_text().splitlines()
    kept = [line for line in lines if json.loads(line)[0] != "4.png"]
    ledger.write_text("\n".join([*kept, "[]", "{}", "3", '["4.png", "done", 1]', lines[-1][:20]]))
    outcomes = run(folder, negative)
    assert sum(outcome.skipped for outcome in outcomes) == 5
    assert sum(outcome.error is not None for outcome in outcomes) == 1  # it cannot be known to be ours


def test_the_command_reports_what_it_did(folder: Path, negative: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "bad.jpg").write_bytes(b"no picture")
    assert main(["stylize", str(folder), "--style", str(negative), "--jobs", "2", "--json"]) == 1
    records = json.loads(capsys.readouterr().out)
    assert len(records) == 7
    assert [record["input"] for record in records if "error" in record] == [str(folder / "bad.jpg")]
    assert main(["stylize", str(folder), "--style", str(negative)]) == 1
    told = capsys.readouterr()
    assert "0 stylized, 6 done before, 1 failed" in told.err
    assert told.out == f"{folder.with_name(f'{folder.name}-{negative.stem}')}\n"


def test_memory_of_many_large_photos_is_bounded(tmp_path: Path, negative: Path) -> None:
    from fast_style import pipeline
    from fast_style.photos import run as photos

    seen: list[int] = []

    class Watched(pipeline.Budget):
        @contextmanager
        def spend(self, amount: int) -> Iterator[None]:
            seen.append(self._taken)
            with super().spend(amount):
                yield

    jobs = []
    for number in range(8):
        Image.new("RGB", (100, 100)).save(tmp_path / f"{number}.png")
        jobs.append(Job(tmp_path / f"{number}.png", tmp_path / f"out-{number}.png"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(photos, "Budget", Watched)
        patch.setattr(photos, "_PIXELS_AT_ONCE", 15_000)
        outcomes = list(stylize_photos(jobs, StyleOptions(negative), PhotoOptions(), jobs_at_once=4))
    assert [outcome.error for outcome in outcomes] == [None] * 8
    assert len(seen) == 8
    assert max(seen) <= 10_000


def test_a_mistake_of_ours_ends_one_photo_of_a_folder_only(
    folder: Path, negative: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(source: Any, **options: Any) -> Picture:
        if source.name.endswith("3.png"):
            raise ZeroDivisionError("division by zero")
        return load_image(source, **options)

    monkeypatch.setattr("fast_style.photos.run.load_image", fail)
    outcomes = run(folder, negative)
    (bad,) = [outcome for outcome in outcomes if outcome.error is not None]
    assert (bad.job.source.name, len(outcomes)) == ("3.png", 6)
    assert str(bad.error) == "ZeroDivisionError: division by zero"


def test_a_network_that_produces_nan_is_an_error(tmp_path: Path) -> None:
    style = write_style(tmp_path / "nan.onnx", "nan")
    with pytest.raises(ModelError, match="NaN or infinity"):
        Stylizer(style).frame(np.full((20, 20, 3), 255, np.uint8))


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tif", ".gif"])
def test_damaged_pictures_are_read_or_refused(suffix: str, tmp_path: Path) -> None:
    texture = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    whole, bad = tmp_path / f"whole{suffix}", tmp_path / f"bad{suffix}"
    Image.fromarray(texture).save(whole)
    data, generator = whole.read_bytes(), random.Random(suffix)
    said: list[str] = []
    for _ in range(40):
        changed = bytearray(data)
        if generator.random() < 0.4:
            del changed[generator.randrange(len(data)) :]
        else:
            for _ in range(generator.randint(1, 20)):
                changed[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
        bad.write_bytes(changed)
        try:
            assert load_image(bad).pixels.ndim == 3
        except FastStyleError as error:
            said.append(str(error))
    assert said
    assert all(bad.name in text for text in said)


def test_bad_numbers_are_refused(folder: Path, negative: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for option, said in (("--jobs=0", "jobs is 0"), ("--threads=0", "threads is 0"), ("--start=x", "not a time")):
        video = str(folder / "x.mp4") if "start" in option else str(folder)
        assert main(["stylize", video, "--style", str(negative), option, "-o", os.devnull + ".mp4"]) == 2
        capsys_text = capsys.readouterr().err
        assert said in capsys_text or "cannot all go" in capsys_text


def test_a_stylizer_can_be_sent_elsewhere(negative: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    stylizer = Stylizer(negative, device="cpu", threads=1)
    sent = pickle.loads(pickle.dumps(stylizer))
    assert (sent.style, sent.network.contract) == (stylizer.style, stylizer.network.contract)
    np.testing.assert_array_equal(sent.frame(pixels), stylizer.frame(pixels))


def test_photos_are_stylized_in_other_processes_as_in_threads(folder: Path, negative: Path) -> None:
    (folder / "bad.png").write_bytes(b"no picture")
    here = run(folder, negative)
    results = [load_image(outcome.job.target).pixels for outcome in here if outcome.error is None]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        there = pool.submit(run, folder, negative, force=True).result()
    for one, other in zip(here, there, strict=True):
        assert (one.job, str(one.error), one.size) == (other.job, str(other.error), other.size)
    for outcome, pixels in zip((each for each in there if each.error is None), results, strict=True):
        np.testing.assert_array_equal(load_image(outcome.job.target).pixels, pixels)
    (bad,) = [outcome for outcome in there if outcome.error is not None]
    assert bad.error is not None
    assert bad.error.hint is not None


SETTINGS = {"style": "0" * 64, "blend": 0.5, "size": 640}


def test_the_key_of_options_holds_what_changes_the_picture_and_no_defaults(tmp_path: Path) -> None:
    mask = tmp_path / "mask.png"
    mask.write_bytes(b"a mask")
    options = PhotoOptions(
        size=640, blend=0.5, keep_colors=True, quality=80, format="JPEG", passes=2, masks=(mask,), max_pixels=9
    )
    assert json.dumps(options.key(), sort_keys=True) == (
        '{"blend": 0.5, "keep_colors": true, "masks": '
        '["2133c39562b7867c3745f3c82f1f2ad8f3641f16478cba97f7648cbe6a36a3bd"], '
        '"passes": 2, "quality": 80, "size": 640}'
    )
    assert PhotoOptions().key() == PhotoOptions(blend=1, format="WEBP", max_pixels=1).key() == {}


def test_a_mask_counts_by_its_content_whatever_names_it(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"a mask")
    keys = [PhotoOptions(masks=(mask,)).key() for mask in (tmp_path / "a.png", tmp_path / "b.png")]
    text = PhotoOptions(masks=(str(tmp_path / "a.png"),)).key()  # type: ignore[arg-type]  # as a caller may
    assert keys[0] == keys[1] == text
    (tmp_path / "b.png").write_bytes(b"another")
    assert PhotoOptions(masks=(tmp_path / "b.png",)).key() != text
    with pytest.raises(ImageError, match=r"cannot read the mask .*none\.png: No such file"):
        PhotoOptions(masks=(tmp_path / "none.png",)).key()


def test_a_new_option_with_its_default_changes_no_key() -> None:
    @dataclass(frozen=True)
    class Later(PhotoOptions):
        grain: float = 0.0

    assert Later(blend=0.5).key() == PhotoOptions(blend=0.5).key()
    assert Later(blend=0.5, grain=1.0).key() == {"blend": 0.5, "grain": 1}


@pytest.mark.parametrize(
    "changed", [{"size": 64}, {"blend": 0.25}, {"keep_colors": True}, {"quality": 91}, {"passes": 1}]
)
def test_an_option_that_changes_the_picture_changes_the_key(changed: dict[str, Any]) -> None:
    assert PhotoOptions(**changed).key() == changed


def test_the_key_of_settings_names_the_style_and_what_it_is_told(negative: Path) -> None:
    stylizer = Stylizer(negative)
    key = {"style": stylizer.network.checksum, "blend": 0.5}
    assert settings_key(stylizer, PhotoOptions(blend=0.5), None) == key
    assert settings_key(stylizer, PhotoOptions(blend=0.5), "0-1") == key | {"value_range": "0-1"}
    over = stylizer.mixed(strength=2.0, ground="flow")
    assert settings_key(over, PhotoOptions(blend=0.5), None) == key | {"strength": 2.0, "ground": "flow"}


def test_a_ledger_of_another_machine_is_understood(tmp_path: Path) -> None:
    (tmp_path / "result").write_bytes(b"the result")
    os.utime(tmp_path / "result", (1, 1))
    origin = "ff06a5365d1a046300202b837c743bde5124326e7ff6a0a35767f347b9d6f942"
    line = ["result", "done", origin, "10-1000000000", "523c7136d3be6973", 1.0, 0.5, ""]
    (tmp_path / ".fast-style.jsonl").write_text(json.dumps(line) + "\n")
    work = Ledger(tmp_path, dict(reversed(SETTINGS.items()))).look("photo", "result")
    assert work.origin == origin
    assert Ledger(tmp_path, SETTINGS).is_done(work)


@pytest.mark.parametrize(("age", "readings"), [(3600, 0), (0, 1)])
def test_ledgers_are_read_again_only_for_a_result_that_may_be_younger(
    age: int, readings: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading them for each of thousands of results that are not ours would take ever longer."""
    (tmp_path / "result").touch()
    os.utime(tmp_path / "result", (time.time() - age,) * 2)
    ledger, read = Ledger(tmp_path, SETTINGS), []
    monkeypatch.setattr(ledger, "refresh", lambda: read.append(1))
    with pytest.raises(InputError, match="result exists"):
        ledger.skips(ledger.look("photo", "result"))
    assert len(read) == readings


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_a_full_disk_is_said_with_the_name_of_the_ledger(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, SETTINGS)
    (tmp_path / NAME.format(own="")).symlink_to("/dev/full")
    with pytest.raises(FileError, match=f"cannot write {tmp_path}/.*: the disk is full"):
        ledger.begin(ledger.look("photo", "result"))


def test_a_photo_that_is_shrunk_counts_with_what_its_decoder_needs(
    tmp_path: Path, negative: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (1200, 900)).save(tmp_path / "a.png")
    spent: list[int] = []
    spend = Budget.spend

    def note(budget: Budget, amount: int) -> AbstractContextManager[None]:
        spent.append(amount)
        return spend(budget, amount)

    monkeypatch.setattr(Budget, "spend", note)
    jobs = [Job(tmp_path / "a.png", tmp_path / "out.png")]
    assert [outcome.error for outcome in stylize_photos(jobs, StyleOptions(negative), PhotoOptions(size=64))] == [None]
    assert spent == [1200 * 900 // 6]
