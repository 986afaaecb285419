"""Pictures that are drawn in parts, and files that are read and written in parts."""

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from fast_style import Stylizer
from fast_style.cli.app import main
from fast_style.errors import ImageError, InputError
from fast_style.images import Picture, Pixels, add_exif, load_image, read_header, save_image, to_float
from fast_style.photos.jobs import Job
from fast_style.photos.run import PhotoOptions, stylize_photos
from fast_style.pipeline import overlap
from fast_style.stylize import tiles
from fast_style.stylize.look import Look
from fast_style.stylize.network import FixedNetwork, StyleNetwork
from fast_style.stylize.noise import endless_noise
from fast_style.stylize.options import StyleOptions
from fast_style.stylize.rasters import ArrayRaster, OverRaster, Part, Raster
from fast_style.stylize.streaming import open_raster, write_bands
from fast_style.stylize.tiles import measure, stylize_bands
from tests.conftest import PHOTOS

pyvips = pytest.importorskip("pyvips", reason="the extra 'large' is not installed")
STYLE = "great-wave-tiny"


@pytest.fixture(scope="module")
def stylizer() -> Stylizer:
    return Stylizer(STYLE, threads=1)


@pytest.fixture(scope="module")
def style(stylizer: Stylizer) -> StyleNetwork:
    return stylizer.network


@pytest.fixture
def parted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw in tiles what has more pixels than a stamp."""
    monkeypatch.setattr(tiles, "WHOLE_PIXELS", 10_000)
    monkeypatch.setattr(tiles, "TILE", 128)


def photo(width: int, height: int) -> Pixels:
    return np.asarray(Image.open(PHOTOS["astronaut"]).convert("RGB").resize((width, height)))


def draw(style: StyleNetwork, raster: Raster, **look: Any) -> Part:
    return np.concatenate([band for _, band in stylize_bands(style, raster, Look(**look))])


def with_whole_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure all of the picture, not parts of it, and repeat the noise: then tiles have to be the whole."""

    def repeated(tile: Part, origin: tuple[int, int], shape: tuple[int, int]) -> Part:
        side = tile.shape[-1]
        rows, columns = (np.arange(first, first + length) % side for first, length in zip(origin, shape, strict=True))
        return np.ascontiguousarray(tile[:, :, rows][..., columns])

    monkeypatch.setattr("fast_style.stylize.network.endless_noise", repeated)

    def exact(network: StyleNetwork, raster: Raster) -> object:
        return network.measure(to_float(raster.read((0, 0, *raster.size))))

    monkeypatch.setattr(tiles, "measure", exact)


# Of tiles of 128 px: whole ones, remainders of 1 and of 127 px, less than one, and sides that are no cells.
@pytest.mark.parametrize("size", [(384, 256), (257, 385), (383, 250), (100, 400), (601, 129)])
@pytest.mark.parametrize("passes", [1, 2, 4])
@pytest.mark.usefixtures("parted")
def test_tiles_are_the_whole_within_a_level(
    style: StyleNetwork, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], passes: int
) -> None:
    with_whole_statistics(monkeypatch)
    pixels = photo(*size)
    parts = draw(style, ArrayRaster(pixels), passes=passes)
    monkeypatch.setattr(tiles, "WHOLE_PIXELS", 10**9)
    whole = draw(style, ArrayRaster(pixels), passes=passes)
    # Each pass rounds once more, and the draft between two is enlarged in parts.
    assert np.abs(parts.astype(int) - whole).max() <= passes


@settings(max_examples=15, deadline=None)
@given(width=st.integers(101, 420), height=st.integers(101, 420), blend=st.sampled_from([0.0, 0.5]), keep=st.booleans())
def test_any_size_has_no_seam(style: StyleNetwork, width: int, height: int, blend: float, keep: bool) -> None:
    pixels = photo(width, height)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "TILE", 128)
        patch.setattr(tiles, "WHOLE_PIXELS", 10_000)
        with_whole_statistics(patch)
        parts = draw(style, ArrayRaster(pixels), blend=blend, keep_colors=keep)
        patch.setattr(tiles, "WHOLE_PIXELS", 10**9)
        whole = draw(style, ArrayRaster(pixels), blend=blend, keep_colors=keep)
    assert parts.shape == pixels.shape
    assert np.abs(parts.astype(int) - whole).max() <= 1


@pytest.mark.usefixtures("parted")
def test_a_bright_corner_counts_as_it_does_in_the_whole(style: StyleNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).integers(0, 60, (400, 400, 3), np.uint8)
    noise[:90, :90] = 250
    with_whole_statistics(monkeypatch)
    parts = draw(style, ArrayRaster(noise))
    monkeypatch.setattr(tiles, "WHOLE_PIXELS", 10**9)
    whole = draw(style, ArrayRaster(noise))
    differences = np.abs(parts.astype(int) - whole)
    # What the second pass sees is rounded, here and there to the other side, and the network magnifies that.
    assert (differences > 1).mean() < 1e-4
    assert differences.max() <= 3
    # Each tile by itself would be another picture.
    alone = style.frame(np.ascontiguousarray(noise[256:, 256:]))
    assert np.abs(alone.astype(int) - whole[256:, 256:]).mean() > 3


def test_parts_are_measured_at_full_size_and_evenly(style: StyleNetwork) -> None:
    seen: list[tuple[int, int, int, int]] = []

    class Watched(ArrayRaster):
        def read(self, box: tuple[int, int, int, int]) -> Part:
            seen.append(box)
            return super().read(box)

    pixels = np.zeros((2600, 4100, 3), np.uint8)
    found = measure(style, Watched(pixels))
    assert found.shape[0] == 2
    assert {(right - left, bottom - top) for left, top, right, bottom in seen} == {(512, 512)}
    assert 15 <= len(seen) <= 22
    hit = np.zeros((2, 2), int)
    for left, top, _, _ in seen:
        hit[int(top + 256 > 1300), int(left + 256 > 2050)] += 1
    assert hit.max() <= 1.5 * hit.min()


@pytest.mark.usefixtures("parted")
def test_progress_ends_at_one_and_bands_come_in_order(style: StyleNetwork) -> None:
    shares: list[float] = []
    tops = [top for top, _ in stylize_bands(style, ArrayRaster(photo(200, 300)), progress=shares.append)]
    assert tops == [0, 128, 256]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


@pytest.mark.usefixtures("parted")
def test_as_many_tiles_are_drawn_at_once_as_the_style_has_threads(
    style: StyleNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def count(*given: Any, workers: int, **others: Any) -> Iterator[Any]:
        asked.append(workers)
        return overlap(*given, workers=workers, **others)

    monkeypatch.setattr(tiles, "overlap", count)
    monkeypatch.setattr(tiles, "core_count", lambda: 4)
    for threads in (1, 3, None):
        draw(replace(style, threads=threads), ArrayRaster(photo(200, 300)), passes=1)
    assert asked == [1, 3, 4]


@pytest.mark.usefixtures("parted")
def test_who_stops_halfway_leaves_no_thread(style: StyleNetwork) -> None:
    before = threading.active_count()
    bands = stylize_bands(style, ArrayRaster(photo(300, 400)))
    next(bands)
    bands.close()  # type: ignore[attr-defined]  # it is a generator
    assert threading.active_count() == before


@given(
    origin=st.tuples(st.integers(0, 300), st.integers(0, 300)),
    shape=st.tuples(st.integers(1, 200), st.integers(1, 200)),
)
def test_the_same_place_has_the_same_noise_in_every_part(origin: tuple[int, int], shape: tuple[int, int]) -> None:
    tile = np.random.default_rng(0).random((1, 1, 64, 64), np.float32)
    whole = endless_noise(tile, (0, 0), (500, 500))
    part = endless_noise(tile, origin, shape)
    expected = whole[..., origin[0] : origin[0] + shape[0], origin[1] : origin[1] + shape[1]]
    np.testing.assert_array_equal(part, expected)


def test_noise_of_a_large_picture_begins_with_the_tile_and_does_not_repeat() -> None:
    tile = np.random.default_rng(0).random((1, 1, 64, 64), np.float32)
    plane = endless_noise(tile, (0, 0), (256, 256))
    np.testing.assert_array_equal(plane[..., :64, :64], tile)
    blocks = [block for rows in np.split(plane[0, 0], 4) for block in np.split(rows, 4, axis=1)]
    assert len({block.tobytes() for block in blocks}) == 16
    assert all(np.array_equal(np.sort(block, axis=None), np.sort(tile, axis=None)) for block in blocks)


@pytest.mark.usefixtures("parted")
def test_a_flat_sky_is_not_the_same_every_512_px(style: StyleNetwork) -> None:
    sky = np.full((160, 1200, 3), 140, np.uint8)
    sky[:, ::97] = 60
    sky[:, 512:] = sky[:, : 1200 - 512]
    parts = draw(style, ArrayRaster(sky), passes=1).astype(int)
    here, there = parts[:, 128:400], parts[:, 640:912]
    assert np.abs(here - there).mean() > 1


def test_the_rim_of_a_part_does_not_count(style: StyleNetwork) -> None:
    pixels = photo(256, 256)
    framed = pixels.copy()
    framed[:4] = framed[-4:] = 255
    once, again = (style.measure(to_float(one), rim=64)[:, :16] for one in (pixels, framed))  # of the stem
    np.testing.assert_allclose(once, again, rtol=1e-5, atol=1e-6)
    assert not np.allclose(style.measure(to_float(pixels)), style.measure(to_float(framed)), rtol=1e-2)


def test_a_draft_is_enlarged_in_parts_as_in_one() -> None:
    pixels, draft = photo(301, 205), photo(151, 103)
    share = np.random.default_rng(0).uniform(0.1, 0.7, (103, 151)).astype(np.float32)
    over = OverRaster(ArrayRaster(pixels), ArrayRaster(pixels).reduced(2), draft, share)
    whole = over.read((0, 0, 301, 205))
    parts = np.zeros_like(whole)
    for top in range(0, 205, 60):
        for left in range(0, 301, 70):
            box = left, top, min(301, left + 70), min(205, top + 60)
            parts[box[1] : box[3], box[0] : box[2]] = over.read(box)
    assert np.abs(parts.astype(int) - whole).max() <= 1


def test_a_photo_mixed_with_a_draft_is_reduced_by_the_factor_asked_for() -> None:
    pixels, draft = photo(301, 205), photo(151, 103)
    over = OverRaster(ArrayRaster(pixels), ArrayRaster(pixels).reduced(2), draft, np.full((103, 151), 0.3, np.float32))
    # A constant share commutes with averaging.
    expected = 0.7 * ArrayRaster(pixels).reduced(4).pixels + 0.3 * ArrayRaster(draft).reduced(2).pixels.astype(int)
    assert np.abs(over.reduced(4).pixels - expected).max() <= 2


def stylize(source: Path, target: Path, **options: object) -> None:
    look = PhotoOptions(**options)  # type: ignore[arg-type]
    (outcome,) = stylize_photos([Job(source, target)], StyleOptions(STYLE), look, threads=1, force=True)
    if outcome.error is not None:
        raise outcome.error


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".webp"])
@pytest.mark.usefixtures("parted")
def test_a_streamed_photo_is_the_one_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    source = tmp_path / "photo.png"
    save_image(Picture(photo(300, 260), dpi=(300.0, 300.0)), source)
    stylize(source, streamed := tmp_path / f"streamed{suffix}", quality=100, passes=1)
    monkeypatch.setattr("fast_style.stylize.streaming.streams", lambda: False)
    stylize(source, loaded := tmp_path / f"loaded{suffix}", quality=100, passes=1)
    found, expected = load_image(streamed), load_image(loaded)
    assert np.abs(found.pixels.astype(int) - expected.pixels).mean() < (0.01 if suffix in {".png", ".tif"} else 3)
    if suffix != ".webp":
        assert found.dpi == pytest.approx((300, 300), rel=1e-3)
        assert expected.dpi == pytest.approx((300, 300), rel=1e-3)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems take no such names")
@pytest.mark.usefixtures("parted")
def test_a_photo_whose_name_is_not_utf_8_is_streamed(tmp_path: Path) -> None:
    source, target = (tmp_path / os.fsdecode(name) for name in (b"\xff.png", b"\xfe.png"))
    save_image(Picture(photo(300, 260)), source)
    stylize(source, target, passes=1)
    assert load_image(target).size == (300, 260)


@pytest.mark.usefixtures("parted")
def test_orientation_alpha_profile_and_exif_survive_streaming(tmp_path: Path) -> None:
    image = Image.fromarray(np.dstack([photo(200, 150), photo(200, 150)[..., 0]]))
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a view"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image.save(tmp_path / "photo.png", exif=exif, icc_profile=profile)
    stylize(tmp_path / "photo.png", tmp_path / "out.png")
    found = load_image(tmp_path / "out.png")
    upright = load_image(tmp_path / "photo.png")
    assert found.size == upright.size == (150, 200)
    np.testing.assert_array_equal(found.alpha, upright.alpha)
    assert found.icc_profile == profile
    assert found.exif is not None
    assert b"a view" in found.exif


def mode_of(path: Path) -> str:
    with Image.open(path) as image:
        return image.mode


@pytest.mark.parametrize("mode", ["L", "CMYK", "P"])
@pytest.mark.usefixtures("parted")
def test_other_color_spaces_are_streamed_as_rgb(tmp_path: Path, mode: str) -> None:
    source = tmp_path / ("photo.png" if mode == "P" else "photo.jpg")
    Image.fromarray(photo(200, 150)).convert(mode).save(source)
    stylize(source, tmp_path / "out.png")
    assert load_image(tmp_path / "out.png").size == (200, 150)
    assert mode_of(tmp_path / "out.png") == "RGB"


def deep_gradient(path: Path, width: int = 160, height: int = 130) -> Part:
    """Write an RGB picture of 16 bits a channel whose values no 8 bits can hold."""
    ramp = np.linspace(20_000, 24_000, width * height).reshape(height, width)
    pixels = np.stack([ramp, ramp + 300, ramp * 0.5], axis=-1).astype(np.uint16)
    image = pyvips.Image.new_from_array(pixels, interpretation="rgb16").copy(xres=11.811, yres=11.811)
    image.write_to_file(str(path))
    return pixels


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_go_in_and_come_out(stylizer: Stylizer, tmp_path: Path, suffix: str) -> None:
    source = tmp_path / f"deep{suffix}"
    pixels = deep_gradient(source)
    header = read_header(source)
    assert header is not None
    assert header.deep
    stylize(source, tmp_path / f"out{suffix}")
    found = pyvips.Image.new_from_file(str(tmp_path / f"out{suffix}"))
    assert found.format == "ushort"
    drawn = np.asarray(found.numpy())
    expected = stylizer.network.floats(to_float(pixels))[0].transpose(1, 2, 0) * 65535
    assert np.abs(drawn - expected).max() <= 1
    # The network's result is not rounded to 8 bits on the way.
    assert len(np.unique(drawn)) > 3 * 256
    assert found.xres == pytest.approx(11.811, rel=1e-3)
    stylize(source, tmp_path / "out.jpg")
    assert mode_of(tmp_path / "out.jpg") == "RGB"


@pytest.mark.usefixtures("parted")
def test_sixteen_bits_survive_tiles_and_passes(tmp_path: Path) -> None:
    deep_gradient(tmp_path / "deep.tif", 300, 200)
    stylize(tmp_path / "deep.tif", tmp_path / "out.tif", passes=2, blend=0.8)
    found = pyvips.Image.new_from_file(str(tmp_path / "out.tif"))
    assert (found.format, found.width, found.height) == ("ushort", 300, 200)


def test_a_header_tells_sixteen_bits_from_eight(tmp_path: Path) -> None:
    save_image(Picture(photo(20, 30)), tmp_path / "a.tif")
    Image.fromarray(np.zeros((20, 30), np.uint16)).save(tmp_path / "gray.png")
    (tmp_path / "no.png").write_bytes(b"no picture")
    for name, deep in (("a.tif", False), ("gray.png", False)):
        header = read_header(tmp_path / name)
        assert header is not None
        assert header.deep is deep
    assert read_header(tmp_path / "no.png") is None
    assert read_header(tmp_path / "nowhere.png") is None


@pytest.mark.parametrize("target", ["out.png", "out.jpg", "out.webp", "out.tif"])
@pytest.mark.usefixtures("parted")
def test_exif_of_a_streamed_tiff_reaches_each_format(tmp_path: Path, target: str) -> None:
    deep_gradient(tmp_path / "photo.tif")
    exif = Image.Exif()
    exif[271], exif[306], exif[315], exif[33432] = "Camera", "2026:11:28 10:00:00", "Ann", "Ann, 2026"
    exif.get_ifd(34665)[33434] = 1 / 60
    add_exif(tmp_path / "photo.tif", exif.tobytes())
    stylize(tmp_path / "photo.tif", tmp_path / target)
    with Image.open(tmp_path / target) as image:
        found = image.getexif()
        assert (found[271], found[306], found[315], found[33432]) == tuple(exif[tag] for tag in (271, 306, 315, 33432))
        assert float(found.get_ifd(34665)[33434]) == pytest.approx(1 / 60)
        image.load()
    if target.endswith(("png", "tif")):
        assert pyvips.Image.new_from_file(str(tmp_path / target)).format == "ushort"


def test_the_loaders_of_the_process_are_left_alone_and_brackets_are_no_options(tmp_path: Path) -> None:
    save_image(Picture(photo(40, 30)), tmp_path / "a[page=3].png")
    assert open_raster(tmp_path / "a[page=3].png").size == (40, 30)
    image = pyvips.Image.new_from_buffer(pyvips.Image.black(5, 4).gifsave_buffer(), "")
    assert (image.width, image.height) == (5, 4)
    image.write_to_file(str(tmp_path / "a.gif"))
    with pytest.raises(ImageError, match="is none of JPEG, PNG, TIFF, WEBP"):
        open_raster(tmp_path / "a.gif")


@pytest.mark.parametrize(("format", "longest"), [("WEBP", 16_383), ("JPEG", 65_500)])
def test_sides_that_a_format_cannot_hold_are_told_before_anything_is_drawn(
    tmp_path: Path, format: str, longest: int
) -> None:
    Image.new("L", (longest + 1, 1)).save(tmp_path / "long.png")
    never: Iterator[tuple[int, Part]] = iter(())
    with pytest.raises(ImageError, match=f"up to {longest} px"):
        write_bands(never, open_raster(tmp_path / "long.png"), tmp_path / "out", format=format, quality=90)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_a_full_disk_is_told(tmp_path: Path, format: str) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    save_image(Picture(photo(400, 300)), tmp_path / "photo.png")
    raster = open_raster(tmp_path / "photo.png")
    bands = ((top, raster.read((0, top, 400, top + 100))) for top in (0, 100, 200))
    with pytest.raises(OSError, match="No space left on device") as told:
        write_bands(bands, raster, Path("/dev/full"), format=format, quality=90)
    assert told.value.errno == errno.ENOSPC  # of which replacing() says that the disk is full


@pytest.mark.usefixtures("parted")
def test_a_damaged_large_file_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    for suffix in (".jpg", ".png"):
        Image.fromarray(photo(400, 300)).save(tmp_path / f"whole{suffix}")
        content = (tmp_path / f"whole{suffix}").read_bytes()
        source = tmp_path / f"cut{suffix}"
        source.write_bytes(content[: len(content) // 2])
        with pytest.raises(ImageError, match=f"cut{suffix}|damaged"):
            stylize(source, tmp_path / "out.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut.jpg", "cut.png", "whole.jpg", "whole.png"]


@pytest.mark.usefixtures("parted")
def test_an_error_of_the_network_ends_the_file_and_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(photo(300, 300)).save(tmp_path / "photo.png")

    def fail(self: FixedNetwork, image: object, **options: object) -> None:
        raise ImageError("no memory")

    monkeypatch.setattr(FixedNetwork, "floats", fail)
    with pytest.raises(ImageError, match="no memory"):
        stylize(tmp_path / "photo.png", tmp_path / "out.png")
    assert [path.name for path in tmp_path.iterdir()] == ["photo.png"]


def test_the_bound_against_bombs_is_lifted_by_name_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "photo.png"
    Image.new("1", (11_000, 9_000)).save(source)
    arguments = ["stylize", str(source), "-s", "great-wave-tiny", "-o", str(tmp_path / "out.jpg"), "--size", "64"]
    assert main(arguments) == 2
    assert "--max-megapixels" in capsys.readouterr().err
    bound = Image.MAX_IMAGE_PIXELS
    assert main([*arguments, "--max-megapixels", "100"]) == 0
    assert bound == Image.MAX_IMAGE_PIXELS
    assert load_image(tmp_path / "out.jpg").size == (64, 52)
    with pytest.raises(InputError, match="would refuse every photo"):
        PhotoOptions(max_pixels=0)


def test_memory_does_not_grow_with_the_photo(tmp_path: Path) -> None:
    # A child of its own, since a peak never falls; what getrusage says begins at the parent's.
    if not Path("/proc/self/status").exists():
        pytest.skip("the peak of a process is read from Linux's /proc")
    peaks = []
    for megapixels in (7, 21):
        side = round((megapixels * 1e6) ** 0.5)
        Image.effect_noise((side, side), 60).convert("RGB").save(source := tmp_path / "photo.jpg")
        code = f"""
from pathlib import Path
from fast_style.cli.app import main
from fast_style.stylize import tiles
tiles.core_count = lambda: 1  # each core would draw a tile
status = main(["stylize", {str(source)!r}, "-s", "great-wave-tiny", "-o", {str(tmp_path / "out.jpg")!r}, "--force"])
lines = Path("/proc/self/status").read_text().splitlines()
print(status, next(line.split()[1] for line in lines if line.startswith("VmHWM")))
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        status, peak = done.stdout.split()[-2:]
        assert status == "0", done.stderr
        peaks.append(int(peak) / 2**20)
    # Three times the pixels. Photo and result are held as bytes, 0.04 GiB more each; how much of the tiles and bands
    # lives at once depends on the threads' turns, 0.2 GiB; the network's features of the whole would be 5 GiB more.
    assert peaks[1] < 1.25
    assert peaks[1] < peaks[0] + 0.6


def test_a_photo_that_was_changed_is_read_anew(tmp_path: Path) -> None:
    colors = []
    for color in ("red", "blue"):
        Image.new("RGB", (32, 32), color).save(tmp_path / "photo.png")
        colors.append(open_raster(tmp_path / "photo.png").read((0, 0, 1, 1)).ravel().tolist())
    assert colors == [[255, 0, 0], [0, 0, 255]]
