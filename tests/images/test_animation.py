import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fast_style.errors import ImageError
from fast_style.images import Picture, load_frames, read_header, save_frames
from tests.images.test_images import noise

PAUSES: dict[str, list[float]] = {
    "gif": [40, 250, 70, 3000],
    "webp": [33, 250, 67, 3000],
    "png": [1000 / 30, 250, 1000 / 15, 90_000],
}


def frames(count: int = 4, *, alpha: bool = False) -> list[Picture]:
    """Pictures of even colors, each with a square elsewhere, transparent around it."""
    pictures = []
    for number in range(count):
        pixels = np.full((48, 64, 3), (40 * number, 90, 200), np.uint8)
        hole = np.zeros((48, 64), np.uint8)
        hole[8 : 8 + 8 * number, 8:40] = 255  # the first is transparent everywhere
        pictures.append(Picture(pixels, hole if alpha else None))
    return pictures


def shown(path: Path) -> tuple[list[Picture], list[float]]:
    pictures, pauses = zip(*load_frames(path), strict=True)
    return list(pictures), list(pauses)


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("kind", ["gif", "webp", "png"])
def test_frames_times_and_holes_are_read_as_they_were_written(kind: str, alpha: bool, tmp_path: Path) -> None:
    path, pictures = tmp_path / f"a.{kind}", frames(alpha=alpha)
    save_frames(zip(pictures, PAUSES[kind], strict=True), path, plays=3, quality=100)
    read, pauses = shown(path)
    assert pauses == pytest.approx(PAUSES[kind])
    header = read_header(path)
    assert header is not None
    assert (header.frames, header.plays) == (4, 3)
    for before, after in zip(pictures, read, strict=True):
        clear = before.alpha is not None
        seen = np.ones((48, 64), bool) if before.alpha is None else before.alpha > 0
        if clear:
            assert after.alpha is not None
            assert ((after.alpha > 0) == seen).all()
        assert abs(after.pixels[seen].astype(int) - before.pixels[seen]).max(initial=0) <= 4


@pytest.mark.parametrize("plays", [0, 1, 2, 65_535])
@pytest.mark.parametrize("kind", ["gif", "webp", "png"])
def test_an_animation_is_shown_as_often_as_before(kind: str, plays: int, tmp_path: Path) -> None:
    save_frames([(each, 100.0) for each in frames(2)], tmp_path / f"a.{kind}", plays=plays)
    header = read_header(tmp_path / f"a.{kind}")
    assert header is not None
    assert header.plays == plays


@pytest.mark.parametrize(("kind", "most"), [("gif", 65_536), ("webp", 65_535)])
def test_an_animation_that_is_shown_more_often_than_its_format_can_say_is_shown_without_end(
    kind: str, most: int, tmp_path: Path
) -> None:
    for plays, expected in ((most, most), (most + 1, 0)):
        save_frames([(each, 100.0) for each in frames(2)], tmp_path / f"a.{kind}", plays=plays)
        header = read_header(tmp_path / f"a.{kind}")
        assert header is not None
        assert header.plays == expected


def test_pauses_that_a_gif_rounds_add_up_to_the_same_time(tmp_path: Path) -> None:
    save_frames([(each, 1000 / 30) for each in frames(31)], tmp_path / "a.gif")
    assert shown(tmp_path / "a.gif")[1][:3] == [30, 40, 30]
    assert sum(shown(tmp_path / "a.gif")[1]) == 1030


def test_a_picture_for_programs_without_animations_stays_one_or_is_left_out(tmp_path: Path) -> None:
    poster, *rest = (Image.fromarray(picture.pixels) for picture in frames())
    poster.save(tmp_path / "in.png", save_all=True, append_images=rest, default_image=True, duration=70, loop=0)
    header = read_header(tmp_path / "in.png")
    assert header is not None
    assert header.poster
    for kind, count in (("png", 4), ("gif", 3), ("webp", 3)):
        target = tmp_path / f"out.{kind}"
        save_frames(load_frames(tmp_path / "in.png"), target, plays=header.plays, poster=header.poster)
        with Image.open(target) as image:
            assert (getattr(image, "n_frames", 1), bool(image.info.get("default_image"))) == (count, kind == "png")
        assert shown(target)[1][-3:] == [70, 70, 70]


def test_profile_and_exif_of_an_animation_are_kept(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[271] = "Camera"
    icc = bytes(16) + b"RGB " + bytes(108)
    first, *rest = (Image.fromarray(picture.pixels) for picture in frames())
    first.save(tmp_path / "in.webp", save_all=True, append_images=rest, duration=50, exif=exif, icc_profile=icc)
    for kind in ("webp", "png"):
        save_frames(load_frames(tmp_path / "in.webp"), tmp_path / f"out.{kind}")
        with Image.open(tmp_path / f"out.{kind}") as image:
            assert image.getexif()[271] == "Camera"
            assert image.info["icc_profile"] == icc


def test_what_one_frame_leaves_for_the_next_is_seen(tmp_path: Path) -> None:
    first, part = Image.new("P", (64, 48), 1), Image.new("P", (64, 48), 0)
    for image in (first, part):
        image.putpalette([0, 0, 0, 200, 30, 30, 30, 30, 200])
    part.paste(2, (0, 0, 32, 48))
    first.save(tmp_path / "a.gif", save_all=True, append_images=[part], transparency=0, disposal=1, duration=50)
    pixels = shown(tmp_path / "a.gif")[0][1].pixels
    assert tuple(pixels[0, 0]) == (30, 30, 200)
    assert tuple(pixels[0, 60]) == (200, 30, 30)


@pytest.mark.parametrize("kind", ["gif", "webp", "png"])
def test_an_animation_of_too_many_pixels_is_refused_before_it_is_decoded(kind: str, tmp_path: Path) -> None:
    save_frames([(each, 50.0) for each in frames()], tmp_path / f"a.{kind}")
    with pytest.raises(ImageError, match="64×48 px is too large; at most 0 megapixels"):
        next(load_frames(tmp_path / f"a.{kind}", max_pixels=64 * 48 - 1))
    save_frames([(each, 50.0) for each in frames(5)], tmp_path / f"a.{kind}")
    with pytest.raises(ImageError, match="an animation of 5 times 64×48 px is too large"):
        next(load_frames(tmp_path / f"a.{kind}", max_pixels=64 * 48))


@pytest.mark.parametrize("kind", ["gif", "webp", "png"])
def test_damage_in_a_later_frame_is_told_and_leaves_no_file(kind: str, tmp_path: Path) -> None:
    save_frames([(Picture(noise(48, 64)), 50.0) for _ in range(6)], tmp_path / f"a.{kind}")
    data = (tmp_path / f"a.{kind}").read_bytes()
    (tmp_path / f"bad.{kind}").write_bytes(data[: len(data) // 2])
    with pytest.raises(ImageError, match=f"bad.{kind}"):
        save_frames(load_frames(tmp_path / f"bad.{kind}"), tmp_path / f"out.{kind}")
    assert not (tmp_path / f"out.{kind}").exists()


def test_a_size_that_a_format_cannot_hold_is_refused() -> None:
    wide = [(Picture(np.zeros((1, 70_000, 3), np.uint8)), 50.0)] * 2
    with pytest.raises(ImageError, match="70000×1 px as GIF"):
        save_frames(wide, io.BytesIO(), format="GIF")
    with pytest.raises(ImageError, match="70000×1 px as WEBP"):
        save_frames(wide, io.BytesIO(), format="WEBP")
