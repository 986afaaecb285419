from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from PIL import Image

from fast_style.errors import InputError
from fast_style.photos.jobs import STREAM, Format, Job, check_video, plan_jobs


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a.jpg, b.bmp and clip.avi; and photos/c.tif and photos/deep/d.png."""
    monkeypatch.chdir(tmp_path)
    Path("photos/deep").mkdir(parents=True)
    for name in ("a.jpg", "b.bmp", "photos/c.tif", "photos/deep/d.png"):
        Image.new("RGB", (20, 20)).save(name)
    Path("clip.avi").write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize(
    ("given", "out", "format", "target"),
    [
        ("a.jpg", None, None, "a-wave.jpg"),
        ("a.jpg", None, "webp", "a-wave.webp"),
        ("b.bmp", None, None, "b-wave.png"),
        ("a.jpg", "x.png", None, "x.png"),
        ("a.jpg", "photos", None, "photos/a.jpg"),
        ("a.jpg", "new", None, "new/a.jpg"),
        ("a.jpg", "-", None, "-"),
        ("-", None, None, "-"),
        ("-", "x.png", None, "x.png"),
        ("-", "new", "jpg", "new/stdin.jpg"),
        ("clip.avi", None, None, "clip-wave.mp4"),
        ("clip.webm", None, None, "clip-wave.webm"),
        ("clip.gif", None, None, "clip-wave.gif"),
        ("clip.gif", None, "png", "clip-wave.png"),
        ("f/%05d.png", "g/%05d.png", None, "g/%05d.png"),
        ("f/%05d.png", "g", None, "g/%05d.png"),
    ],
)
@pytest.mark.usefixtures("place")
def test_one_input_has_its_result_where_the_help_says(
    given: str, out: str | None, format: Format | None, target: str
) -> None:
    jobs = plan_jobs([Path(given)], None if out is None else Path(out), "wave", format)
    assert jobs == [Job(Path(given), Path(target))]


def test_a_folder_keeps_its_tree_and_numbered_pictures_their_names(place: Path) -> None:
    beside = place / "photos-wave"
    assert plan_jobs([Path("photos")], None, "wave", None) == [
        Job(Path("photos/c.tif"), beside / "c.png", beside),
        Job(Path("photos/deep/d.png"), beside / "deep/d.png", beside),
    ]
    out = Path("out")
    assert [job.target for job in plan_jobs([Path("photos"), Path("a.jpg")], out, "wave", "jpg")] == [
        out / "c.jpg",
        out / "deep/d.jpg",
        out / "a.jpg",
    ]
    (job,) = plan_jobs([Path("photos/%d.png")], None, "wave", None)
    assert job == Job(Path("photos/%d.png"), beside / "%d.png")


@pytest.mark.parametrize(
    ("source", "target", "video"),
    [
        ("clip.mp4", "x.mp4", True),
        ("f/%05d.png", "x.mp4", True),
        ("clip.gif", "x.gif", True),
        ("clip.gif", "x.png", False),
        ("clip.gif", "5%done.gif", True),
        ("a.jpg", "x.jpg", False),
        ("50%.jpg", "x.jpg", False),
        ("-", "-", False),
    ],
)
def test_photos_and_videos_are_told_apart_by_their_names(source: str, target: str, video: bool) -> None:
    assert Job(Path(source), Path(target)).is_video == video


@pytest.mark.parametrize(
    ("inputs", "out", "message"),
    [
        ([], None, "nothing to stylize"),
        (["a.jpg", "b.bmp"], "x.png", "several results cannot all go to x.png"),
        (["photos"], "-", "several results cannot all go to -"),
        (["-5"], None, "-5 is neither an option nor a file"),
    ],
)
@pytest.mark.usefixtures("place")
def test_what_cannot_be_planned_is_refused(inputs: list[str], out: str | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        plan_jobs([Path(name) for name in inputs], None if out is None else Path(out), "wave", None)


@pytest.mark.usefixtures("place")
def test_a_job_that_cannot_be_done_says_why() -> None:
    Path("empty").mkdir()
    jobs = plan_jobs(list(map(Path, ("a.jpg", "photos/../a.jpg", "empty"))), Path("new"), "wave", None)
    assert [str(job.error) for job in jobs] == [
        "None",
        "a.jpg and photos/../a.jpg would both be written to new/a.jpg",
        "empty holds no photos",
    ]


def test_jobs_are_plain_data() -> None:
    job = Job(STREAM, Path("x.png"), Path("out"))
    assert pickle.loads(pickle.dumps(job)) == job
    assert len({job, Job(STREAM, Path("x.png"), Path("out"))}) == 1


@pytest.mark.parametrize(
    ("target", "force", "message"),
    [
        ("-", True, "standard output"),
        ("clip.avi", True, "written over itself"),
        ("a.jpg", False, "a.jpg exists"),
        ("photos/%d.png", False, "1.png exists"),
        ("n" * 300 + ".mp4", True, "cannot look at n*.mp4: File name too long"),
    ],
)
@pytest.mark.usefixtures("place")
def test_a_video_is_not_written_over_what_exists(target: str, force: bool, message: str) -> None:
    Path("photos/1.png").write_bytes(b"")
    with pytest.raises(InputError, match=message):
        check_video(Job(Path("clip.avi"), Path(target)), force=force)
