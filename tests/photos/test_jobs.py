import errno
import os
import pickle
import sys
from pathlib import Path

import pytest
from PIL import Image

from fast_style.errors import InputError
from fast_style.extras import install_command
from fast_style.photos.jobs import STREAM, Format, Job, Plan, check_video, plan_jobs
from fast_style.photos.ledger import Ledger


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
        ("c.heic", None, None, "c-wave.png"),
        ("d.AVIF", None, None, "d-wave.png"),
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
        ("clip.mov", None, "png", "clip-wave.mov"),
        ("clip.avi", "new", "jpg", "new/clip.mp4"),
        ("f/%05d.png", "g/%05d.png", None, "g/%05d.png"),
        ("f/%05d.png", "g", None, "g/%05d.png"),
    ],
)
@pytest.mark.usefixtures("place")
def test_one_input_has_its_result_where_the_help_says(
    given: str, out: str | None, format: Format | None, target: str
) -> None:
    jobs = plan_jobs([Path(given)], None if out is None else Path(out), "wave", format).jobs
    assert jobs == [Job(Path(given), Path(target))]


def test_a_folder_keeps_its_tree_and_numbered_pictures_their_names(place: Path) -> None:
    beside = place / "photos-wave"
    assert plan_jobs([Path("photos")], None, "wave", None).jobs == [
        Job(Path("photos/c.tif"), beside / "c.png", beside),
        Job(Path("photos/deep/d.png"), beside / "deep/d.png", beside),
    ]
    out = Path("out")
    assert [job.target for job in plan_jobs([Path("photos"), Path("a.jpg")], out, "wave", "jpg").jobs] == [
        out / "c.jpg",
        out / "deep/d.jpg",
        out / "a.jpg",
    ]
    (job,) = plan_jobs([Path("photos/%d.png")], None, "wave", None).jobs
    assert job == Job(Path("photos/%d.png"), beside / "%d.png")


@pytest.mark.parametrize(
    ("source", "target", "video"),
    [
        ("clip.mp4", "x.mp4", True),
        ("f/%05d.png", "x.mp4", True),
        ("clip.gif", "x.gif", False),
        ("clip.gif", "x.png", False),
        ("clip.gif", "x.mp4", True),
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


@pytest.mark.parametrize(("inputs", "out"), [(["a.jpg"], "-"), (["-"], None), (["a.jpg", "-"], None)])
@pytest.mark.usefixtures("place")
def test_a_tiff_for_standard_output_is_refused_as_it_takes_a_file(inputs: list[str], out: str | None) -> None:
    with pytest.raises(InputError, match="a TIFF cannot go to standard output") as caught:
        plan_jobs([Path(name) for name in inputs], None if out is None else Path(out), "wave", "tif")
    assert caught.value.hint == "Give a file with -o, or another --format."


@pytest.mark.parametrize("given", ["/", "/%d.png"])
def test_results_beside_the_root_are_refused_with_the_remedy(given: str) -> None:
    with pytest.raises(InputError, match="there is nothing beside /") as caught:
        plan_jobs([Path(given)], None, "wave", None)
    assert caught.value.hint == "Give a folder with -o."


@pytest.mark.usefixtures("place")
def test_a_job_that_cannot_be_done_says_why() -> None:
    Path("empty").mkdir()
    jobs = plan_jobs(list(map(Path, ("a.jpg", "photos/../a.jpg", "empty"))), Path("new"), "wave", None).jobs
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
        ("clip.avi", True, "is an input and would be overwritten"),
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


def sources(plan: Plan) -> list[str]:
    return [str(job.source) for job in plan.jobs]


@pytest.mark.usefixtures("place")
def test_linked_folders_are_followed_once() -> None:
    Path("photos/loop").symlink_to("..", target_is_directory=True)  # back to the folder that holds the photos
    Path("photos/again").symlink_to("deep", target_is_directory=True)
    Path("photos/nowhere").symlink_to("missing")
    Path("elsewhere").mkdir()
    Image.new("RGB", (20, 20)).save("elsewhere/e.png")
    Path("photos/link").symlink_to("../elsewhere", target_is_directory=True)
    Path("only").mkdir()
    Path("only/link").symlink_to("../elsewhere", target_is_directory=True)
    found = sources(plan_jobs([Path("photos")], Path("out"), "wave", None))
    assert sorted(found) == sorted(set(found))
    assert {"photos/c.tif", "photos/deep/d.png", "photos/link/e.png"} <= set(found)
    assert not any("again" in name or "nowhere" in name for name in found)
    (job,) = plan_jobs([Path("only")], Path("out"), "wave", None).jobs
    assert job == Job(Path("only/link/e.png"), Path("out/link/e.png"), Path("out"))


@pytest.mark.parametrize("out", ["photos", "photos/deep/results"])
@pytest.mark.usefixtures("place")
def test_results_in_the_input_are_not_taken_as_photos_again(out: str) -> None:
    plan = plan_jobs([Path("photos")], Path(out), "wave", "webp")
    ledger = Ledger(Path(out), {}, own="-1-of-2")
    for job, stage in zip(plan.jobs, ("done", "begun"), strict=True):
        work = ledger.look(*job.names)
        ledger.begin(work)
        job.target.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 20)).save(job.target)
        if stage == "done":
            ledger.end(work, 0.0, "")
    again = plan_jobs([Path("photos")], Path(out), "wave", "webp")
    assert again.jobs == plan.jobs
    assert again.left_out == {"results of earlier runs": 2}
    chained = plan_jobs([Path(out)], Path("second"), "other", None)  # a folder of results may be an input itself
    assert {job.target for job in plan.jobs} <= {job.source for job in chained.jobs}


@pytest.mark.usefixtures("place")
def test_no_result_is_written_over_an_input() -> None:
    Path("link").symlink_to("photos", target_is_directory=True)
    Image.new("RGB", (20, 20)).save("photos/c.png")
    for inputs, out in (
        (["photos"], "photos"),
        (["photos"], "link"),
        (["photos/c.png", "photos/c.tif"], "photos"),
    ):
        plan = plan_jobs([Path(name) for name in inputs], Path(out), "wave", None)
        errors = {job.source.name: str(job.error) for job in plan.jobs}
        assert errors["c.png"].endswith("c.png would be written over itself")
        assert "over the input" in errors["c.tif"] or "would both be written" in errors["c.tif"]
    (job,) = plan_jobs([Path("a.jpg")], Path("a.jpg"), "wave", None).jobs
    assert str(job.error) == "a.jpg would be written over itself"


def test_what_a_folder_holds_beside_photos_is_counted_with_a_remedy(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    for name in ("x.HEIC", "deep/y.heif", "clip.MOV", "b.mkv", "p.psd", "q.psd", "r.CR2", "s.svg", "notes.txt"):
        (place / "photos" / name).write_bytes(b"")
    plan = plan_jobs([Path("photos")], None, "wave", None)
    assert sources(plan) == ["photos/c.tif", "photos/deep/d.png"]
    assert plan.left_out == {
        f"HEIC: {install_command('heic')}": 2,
        "films: give each by its name": 2,
        ".cr2, .psd, .svg: not a format that is read; convert to PNG or TIFF": 4,
    }
    Path("phone").mkdir()
    Path("phone/z.heic").write_bytes(b"")
    (job,) = plan_jobs([Path("phone")], None, "wave", None).jobs
    assert job.error is not None
    assert job.error.hint == f"It holds 1 HEIC: {install_command('heic')}"


@pytest.mark.usefixtures("place")
def test_a_folder_in_a_folder_that_may_not_be_looked_into_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    scan = os.scandir

    def scandir(path: Path) -> object:
        if path.name == "deep":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    plan = plan_jobs([Path("photos")], None, "wave", None)
    assert sources(plan) == ["photos/c.tif"]
    assert plan.left_out == {"unreadable: look at the permissions": 1}
