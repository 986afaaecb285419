import contextlib
import io
import os
import random
import resource
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from threading import Event
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition
from av.video.reformatter import ColorRange, Colorspace
from PIL import Image

from fast_style import Stylizer
from fast_style.cli import main
from fast_style.errors import FastStyleError, FileError, InputError, VideoError
from fast_style.films.colors import Colors
from fast_style.films.frames import Frame, copy_planes
from fast_style.films.reader import VideoReader
from fast_style.films.video import VideoOptions, stylize_video
from fast_style.films.writer import VideoFormat, VideoWriter
from fast_style.images import Picture, Pixels, Planes, save_image
from fast_style.model.statistics import Statistics
from fast_style.photos.jobs import numbered_files, plan_jobs
from fast_style.pipeline import Budget, overlap
from fast_style.stylize.network import FixedNetwork, StyleNetwork
from tests.conftest import moving_square, read_frames, run_interrupted

Make = Callable[..., Path]


def times_of(path: Path) -> dict[str, list[Fraction]]:
    times: dict[str, list[Fraction]] = {}
    with av.open(str(path)) as container:
        for packet in container.demux():
            if packet.pts is not None:
                times.setdefault(packet.stream.type, []).append(packet.pts * packet.time_base)
    return {kind: sorted(found) for kind, found in times.items()}


def bytes_of(path: Path, kind: str) -> list[bytes]:
    with av.open(str(path)) as container:
        stream = next(s for s in container.streams if s.type == kind)
        return [bytes(packet) for packet in container.demux(stream) if packet.size]


def noise(count: int, width: int = 160, height: int = 120) -> list[Pixels]:
    generator = np.random.default_rng(0)
    return [generator.integers(0, 256, (3, height, width), np.uint8) for _ in range(count)]


def run(source: Path, target: Path, style: Path, **options: Any) -> Any:
    """Stylize each frame by itself, so that the outcome is exactly known."""
    look = VideoOptions(steady=False, **options)
    return stylize_video(source, target, Stylizer(style, threads=1), look, workers=2)


@pytest.mark.parametrize("name", ["clip.mkv", "clip.gif"])
def test_packed_frames_share_no_memory(name: str, tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / name, VideoFormat(64, 48, Fraction(25), Fraction(1, 25)))

    def packed(level: int) -> av.VideoFrame:
        picture = writer.blank()
        copy_planes(np.full((3, 48, 64), level, np.uint8), writer.planes(picture))
        return writer.pack(picture)

    dark = packed(40)
    before = bytes(dark.planes[0])
    bright = packed(200)
    assert bytes(dark.planes[0]) == before != bytes(bright.planes[0])
    writer.close()


def test_results_come_in_order_whatever_each_takes() -> None:
    done = [Event() for _ in range(50)]

    def work(item: int) -> int:
        if item % 2 == 0:
            assert done[item + 1].wait(60)  # each second item overtakes the one before it
        done[item].set()
        return item * item

    assert list(overlap(range(50), work, workers=4)) == [n * n for n in range(50)]


def test_items_in_between_are_bounded() -> None:
    taken = 0
    ahead: list[int] = []

    def items() -> Iterator[int]:
        for number in range(2000):
            ahead.append(number + 1 - taken)
            yield number

    stages = overlap(items(), lambda number: number, workers=2, ahead=3)
    for taken in range(1, 2001):  # noqa: B007  # items() looks at it
        next(stages)
    # The one that is drawn waits until there is room for it.
    assert max(ahead) <= 2 + 3 + 1


@pytest.mark.parametrize("where", ["items", "work"])
def test_what_a_stage_raises_comes_at_its_turn(where: str) -> None:
    def items() -> Iterator[int]:
        yield from (1, 2)
        if where == "items":
            raise ValueError("three")
        yield 3

    def work(item: int) -> int:
        if item == 3:
            raise ValueError("three")
        return item

    stages = overlap(items(), work, workers=2)
    assert [next(stages), next(stages)] == [1, 2]
    with pytest.raises(ValueError, match="three"):
        next(stages)


def test_a_budget_lets_one_through_that_is_larger_than_all_of_it() -> None:
    budget = Budget(10)
    with budget.spend(1000):
        pass
    with budget.spend(4), budget.spend(6):
        pass


def test_every_frame_is_stylized_and_at_its_own_time(make_clip: Make, negative: Path, tmp_path: Path) -> None:
    frames = moving_square()
    times = [0, 1, 2, 7, 8, 30, 31, 33, 40, 41, 59, 100]  # a variable frame rate
    clip = make_clip(frames=frames, times=times, time_base=Fraction(1, 30000))
    report = run(clip, tmp_path / "out.mp4", negative, quality=90)
    assert report.frames == len(frames)
    assert not report.losses
    assert times_of(tmp_path / "out.mp4") == times_of(clip)
    for made, frame in zip(read_frames(tmp_path / "out.mp4"), frames, strict=True):
        # Colors at the rim of the square are halved in resolution; the mean over all is not.
        assert abs(made.planes.astype(int) - (255 - frame.astype(int))).mean() < 3


def test_sound_is_copied_bit_for_bit_and_in_time(clips: Path, same: Path, tmp_path: Path) -> None:
    source, target = clips / "bigbuckbunny.mp4", tmp_path / "out.mkv"
    run(source, tmp_path / "out.mp4", same, size=64)
    assert bytes_of(tmp_path / "out.mp4", "audio") == bytes_of(source, "audio")
    assert times_of(tmp_path / "out.mp4") == times_of(source)
    run(source, target, same, size=64, start=1.0, end=2.0)
    found = times_of(target)
    assert len(found["video"]) == 25
    assert 0 <= found["audio"][0] < Fraction(1, 40)
    assert 0.95 < found["audio"][-1] < 1.0
    assert set(bytes_of(target, "audio")) < set(bytes_of(source, "audio"))


def test_subtitles_are_copied(make_clip: Make, same: Path, tmp_path: Path) -> None:
    (tmp_path / "s.srt").write_text("1\n00:00:00,100 --> 00:00:00,300\nHello\n", encoding="utf-8")
    clip, source = make_clip(), tmp_path / "sub.mkv"
    with av.open(str(source), "w") as out, av.open(str(clip)) as video, av.open(str(tmp_path / "s.srt")) as words:
        copies: dict[Any, Any] = {
            s: out.add_stream_from_template(s) for s in (video.streams.video[0], words.streams.subtitles[0])
        }
        for container in (video, words):
            for packet in container.demux():
                if packet.dts is not None:
                    packet.stream = copies[packet.stream]
                    out.mux(packet)
    run(source, tmp_path / "out.mkv", same)
    assert bytes_of(tmp_path / "out.mkv", "subtitle") == [b"Hello"]
    with pytest.raises(VideoError, match="cannot hold the subrip subtitle"):
        run(source, tmp_path / "out.mp4", same)
    run(source, tmp_path / "out.mp4", same, subtitle=False)


def join(target: Path, *sources: Path) -> Path:
    """Copy the streams of several files into one."""
    with contextlib.ExitStack() as stack:
        out = stack.enter_context(av.open(str(target), "w"))
        containers = [stack.enter_context(av.open(str(source))) for source in sources]
        copies: dict[Any, Any] = {s: out.add_stream_from_template(s) for c in containers for s in c.streams}
        for container in containers:
            for packet in container.demux():
                if packet.dts is not None:
                    packet.stream = copies[packet.stream]
                    out.mux(packet)
    return target


def make_sound(path: Path, codec: str, seconds: float = 0.4) -> Path:
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream(codec, rate=48000)
        stream.layout = "stereo"
        resampler = av.AudioResampler(
            stream.codec_context.format, "stereo", 48000, stream.codec_context.frame_size or 960
        )
        for number in range(round(seconds * 50)):
            frame = av.AudioFrame.from_ndarray(np.zeros((2, 960), np.float32), "fltp", "stereo")
            frame.sample_rate, frame.pts, frame.time_base = 48000, number * 960, Fraction(1, 48000)
            for resampled in resampler.resample(frame):
                out.mux(stream.encode(resampled))
        out.mux(stream.encode(None))
    return path


def test_sound_that_is_stored_after_its_pictures_is_kept_up_to_the_end(
    make_clip: Make, same: Path, tmp_path: Path
) -> None:
    clip = make_clip("clip.mkv", frames=moving_square(100))
    together = join(tmp_path / "in.ts", clip, make_sound(tmp_path / "a.mkv", "mp2", 4.0))
    with av.open(str(together)) as container:
        identifier = container.streams.audio[0].id
    data = together.read_bytes()
    cells = [data[place : place + 188] for place in range(0, len(data), 188)]  # each belongs to one stream
    late = round(0.15 * len(cells))  # of those of 4 s
    order = [n + late * (int.from_bytes(cell[1:3]) & 0x1FFF == identifier) for n, cell in enumerate(cells)]
    together.write_bytes(b"".join(cells[n] for n in sorted(range(len(cells)), key=order.__getitem__)))
    run(together, tmp_path / "out.mkv", same, end=2.0)
    times = times_of(tmp_path / "out.mkv")
    assert len(times["video"]) == 50
    assert 1.95 < times["audio"][-1] < 2.0


def make_bitmap_subtitles(path: Path) -> Path:
    """A Blu-ray subtitle without anything to see, 0.5 s after the start."""

    def segment(kind: int, content: bytes) -> bytes:
        return b"PG" + struct.pack(">LLBH", 45000, 0, kind, len(content)) + content

    composition = struct.pack(">HHBHBBBB", 96, 64, 16, 0, 128, 0, 0, 0)
    window = struct.pack(">BBHHHH", 1, 0, 0, 0, 8, 8)
    path.write_bytes(segment(0x16, composition) + segment(0x17, window) + segment(0x80, b""))
    return path


def test_subtitles_without_an_encoder_are_copied(make_clip: Make, same: Path, tmp_path: Path) -> None:
    source = join(tmp_path / "disc.mkv", make_clip(), make_bitmap_subtitles(tmp_path / "s.sup"))
    assert run(source, tmp_path / "out.mkv", same).frames == len(moving_square())
    assert bytes_of(tmp_path / "out.mkv", "subtitle") == bytes_of(source, "subtitle") != []
    with pytest.raises(VideoError, match="cannot hold the hdmv_pgs_subtitle") as error:
        run(source, tmp_path / "out.mp4", same)
    assert "Write .mkv instead" in (error.value.hint or "")


@pytest.mark.parametrize(
    ("codec", "sound", "refused", "suggested"),
    [
        ("pcm_alaw", "a.wav", ".mkv", ".mov"),
        ("pcm_u8", "a.wav", ".mp4", ".mkv"),
        ("adpcm_ms", "a.wav", ".mkv", ".avi"),
        ("libopus", "a.mkv", ".mov", ".mkv"),
        ("eac3", "a.mkv", ".avi", ".mkv"),
    ],
)
def test_the_file_that_is_suggested_holds_the_sound(
    codec: str, sound: str, refused: str, suggested: str, make_clip: Make, same: Path, tmp_path: Path
) -> None:
    clip, sound_file = make_clip("clip.mp4", codec="mpeg4"), make_sound(tmp_path / sound, codec)
    source = join(tmp_path / ("film.mkv" if sound == "a.mkv" else "film.avi"), clip, sound_file)
    with pytest.raises(VideoError, match=f"{refused} cannot hold the") as error:
        run(source, tmp_path / f"out{refused}", same)
    assert f"Write {suggested} instead" in (error.value.hint or "")
    run(source, tmp_path / f"out{suggested}", same)
    assert bytes_of(tmp_path / f"out{suggested}", "audio") == bytes_of(source, "audio")


def test_sound_of_an_avi_without_a_layout_of_channels_fits_into_mp4(
    make_clip: Make, same: Path, tmp_path: Path
) -> None:
    source = join(tmp_path / "a.avi", make_clip(codec="mpeg4"), make_sound(tmp_path / "a.wav", "pcm_s16le"))
    run(source, tmp_path / "out.mp4", same)
    assert b"".join(bytes_of(tmp_path / "out.mp4", "audio")) == b"".join(bytes_of(source, "audio"))


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_flags_languages_and_titles_of_streams_are_kept(
    suffix: str, make_clip: Make, same: Path, tmp_path: Path
) -> None:
    sounds = [av.open(str(make_sound(tmp_path / f"{name}.mp4", "aac"))) for name in ("eng", "fra")]
    source = tmp_path / f"film{suffix}"
    flags = [Disposition.default, Disposition(0), Disposition.default | Disposition.forced]
    with av.open(str(source), "w") as out, av.open(str(make_clip())) as video:
        inputs = [video.streams.video[0], *(sound.streams.audio[0] for sound in sounds)]
        copies = [out.add_stream_from_template(stream) for stream in inputs]
        for copy, language, flag in zip(copies, ("deu", "eng", "fra"), flags, strict=True):
            copy.metadata.update({"language": language, "title": f"in {language}"})
            copy.disposition = flag
        for container, copy in zip((video, *sounds), copies, strict=True):
            for packet in container.demux():
                if packet.dts is not None:
                    packet.stream = copy
                    out.mux(packet)
    run(source, tmp_path / f"out{suffix}", same)
    with av.open(str(source)) as before, av.open(str(tmp_path / f"out{suffix}")) as after:
        streams = [[(s.disposition, s.language, s.metadata.get("title")) for s in c.streams] for c in (before, after)]
    assert streams[0] == streams[1]
    assert [language for _, language, _ in streams[1]] == ["deu", "eng", "fra"]
    assert not streams[1][1][0] & Disposition.default


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_h265_has_the_tag_that_every_player_takes(suffix: str, make_clip: Make, same: Path, tmp_path: Path) -> None:
    run(make_clip(), tmp_path / f"out{suffix}", same, codec="h265")
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        assert container.streams.video[0].codec_tag == "hvc1"
    assert len(read_frames(tmp_path / f"out{suffix}")) == len(moving_square())


@pytest.mark.parametrize("matrix", [Colorspace.ITU601, Colorspace.ITU709])
@pytest.mark.parametrize("full", [False, True])
def test_a_grey_ramp_stays_grey_and_colors_stay(
    make_clip: Make, same: Path, tmp_path: Path, matrix: Colorspace, full: bool
) -> None:
    ramp = np.broadcast_to(np.repeat(np.arange(0, 256, 4, dtype=np.uint8), 4), (3, 64, 256)).copy()
    bars = np.zeros((3, 64, 256), np.uint8)
    for number, color in enumerate([(255, 0, 0), (0, 255, 0), (0, 0, 255), (230, 180, 40)]):
        bars[:, :, number * 64 : number * 64 + 64] = np.array(color, np.uint8)[:, None, None]
    clip = make_clip(frames=[ramp, bars], colors=Colors(matrix, full), quality=98)
    run(clip, tmp_path / "out.mp4", same, quality=98)
    gray, colored = read_frames(tmp_path / "out.mp4")
    assert np.ptp(gray.planes.astype(int), axis=0).max() <= 5
    assert abs(gray.planes.astype(int) - ramp).max() <= 5
    inside = np.r_[8:56, 72:120, 136:184, 200:248]
    assert abs(colored.planes.astype(int) - bars)[:, 8:56, inside].max() <= 8
    with av.open(str(tmp_path / "out.mp4")) as container:
        frame = next(container.decode(video=0))
    assert int(frame.color_range) == int(ColorRange.JPEG if full else ColorRange.MPEG)
    assert (int(frame.colorspace) == 1) == (matrix is Colorspace.ITU709)


def test_ten_bit_input_is_read(same: Path, tmp_path: Path) -> None:
    source = tmp_path / "ten.mkv"
    with av.open(str(source), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p10le"
        frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 120, np.uint8), "rgb24").reformat(format="yuv420p10le")
        for packet in (*stream.encode(frame), *stream.encode(None)):
            out.mux(packet)
    run(source, tmp_path / "out.mp4", same)
    (made,) = read_frames(tmp_path / "out.mp4")
    assert abs(made.planes.astype(int) - 120).max() <= 3


# The eight display matrices: a, b, c and d of ISO/IEC 14496-12, 8.3.2, and what they make of a picture.
TURNS: dict[tuple[int, int, int, int], Callable[[Pixels], Pixels]] = {
    (1, 0, 0, 1): lambda picture: picture,
    (0, 1, -1, 0): lambda picture: np.rot90(picture, -1),
    (-1, 0, 0, -1): lambda picture: np.rot90(picture, 2),
    (0, -1, 1, 0): np.rot90,
    (-1, 0, 0, 1): np.fliplr,
    (1, 0, 0, -1): np.flipud,
    (0, 1, 1, 0): np.transpose,
    (0, -1, -1, 0): lambda picture: np.rot90(np.transpose(picture), 2),
}


@pytest.mark.parametrize("matrix", TURNS, ids=str)
def test_turned_and_mirrored_films_become_upright(
    matrix: tuple[int, int, int, int], make_clip: Make, same: Path, tmp_path: Path
) -> None:
    picture = np.zeros((32, 64), np.uint8)
    picture[:16, :32], picture[16:, :32] = 220, 120
    data = bytearray(make_clip(frames=[np.stack([picture] * 3)]).read_bytes())
    place = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (value << 16 for value in matrix)
    data[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    (tmp_path / "turned.mp4").write_bytes(data)
    wanted = TURNS[matrix](picture)
    report = run(tmp_path / "turned.mp4", tmp_path / "out.mp4", same)
    assert (report.height, report.width) == wanted.shape
    assert abs(read_frames(tmp_path / "out.mp4")[0].planes.astype(int) - wanted).mean() < 6


@pytest.mark.parametrize(("codec", "name"), [("libx264", "in.mp4"), ("mpeg2video", "in.ts")])
def test_interlaced_films_are_deinterlaced(codec: str, name: str, same: Path, tmp_path: Path) -> None:
    # A bar that moves by 8 px from field to field is combed.
    frames = []
    for number in range(8):
        frame = np.zeros((64, 192, 3), np.uint8)
        frame[0::2, 16 * number : 16 * number + 40] = frame[1::2, 16 * number + 8 : 16 * number + 48] = 235
        frames.append(frame)
    with av.open(str(tmp_path / name), "w") as out:
        stream: Any = out.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 192, 64, "yuv420p"
        stream.codec_context.flags |= av.codec.context.Flags.interlaced_dct | av.codec.context.Flags.interlaced_me
        stream.codec_context.options = {"x264-params": "tff=1"} if codec == "libx264" else {}
        stream.codec_context.qmax = 4
        for pixels in frames:
            picture = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format="yuv420p")
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
    report = run(tmp_path / name, tmp_path / "out.mkv", same)
    assert report.notes == ["interlaced frames were deinterlaced"]
    painted = [shown.planes[1].astype(int) for shown in read_frames(tmp_path / "out.mkv")]
    assert len(painted) == 8

    def combed(light: Any) -> float:
        return float(abs(light[1:-1] - (light[:-2] + light[2:]) / 2).mean())

    before = combed(frames[4][..., 1].astype(int))
    assert combed(painted[4]) < before / 4


@pytest.mark.slow  # FFmpeg computes its table for some seconds
def test_hdr_becomes_bt709_and_is_said(same: Path, tmp_path: Path) -> None:
    with av.open(str(tmp_path / "in.mkv"), "w") as out:
        stream: Any = out.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p10le"
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace, context.color_range = 9, 16, 9, 1
        picture = av.VideoFrame(96, 64, "yuv420p10le")
        # 58 % of the range is 203 cd/m², diffuse white, ITU-R BT.2408; there is room for highlights above it.
        for plane, value in zip(picture.planes, (64 + 876 * 58 // 100, 512, 512), strict=True):
            plane.update(np.full(plane.buffer_size // 2, value, np.uint16).tobytes())
        out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
    report = run(tmp_path / "in.mkv", tmp_path / "out.mp4", same)
    assert report.notes == ["colors of HDR (PQ) were converted to BT.709"]
    with av.open(str(tmp_path / "out.mp4")) as container:
        frame = next(container.decode(video=0))
    assert (frame.color_primaries, frame.color_trc, frame.colorspace) == (1, 1, 1)
    assert frame.to_ndarray(format="rgb24").mean() == pytest.approx(155, abs=12)


def test_odd_sides_gain_the_one_pixel_that_codecs_need(same: Path, tmp_path: Path) -> None:
    gif = tmp_path / "odd.gif"
    pictures = [Image.new("RGB", (61, 47), (number * 40, 90, 90)) for number in range(3)]
    pictures[0].save(gif, save_all=True, append_images=pictures[1:], duration=[100, 250, 100], loop=0)
    report = run(gif, tmp_path / "out.mp4", same)
    assert (report.width, report.height, report.frames) == (61, 47, 3)
    made = read_frames(tmp_path / "out.mp4")
    assert made[0].planes.shape == (3, 48, 62)
    assert times_of(tmp_path / "out.mp4")["video"] == [0, Fraction(1, 10), Fraction(7, 20)]
    run(gif, tmp_path / "out.gif", same)
    with Image.open(tmp_path / "out.gif") as again:
        assert (again.size, getattr(again, "n_frames", 0), again.info["duration"]) == ((61, 47), 3, 100)
        assert abs(np.asarray(again.convert("RGB")).astype(int) - (0, 90, 90)).max() <= 4


def test_numbered_pictures_in_and_out(same: Path, tmp_path: Path) -> None:
    for number in (3, 4, 9, 10):
        Image.new("RGB", (32, 32), (number * 20, 0, 0)).save(tmp_path / f"in-{number:03d}.png")
    (tmp_path / "in-005.png").write_bytes(b"no picture")
    report = run(tmp_path / "in-%03d.png", tmp_path / "clip.mkv", same, fps=Fraction(10))
    assert (report.frames, report.losses.frames) == (4, 1)
    assert "in-005.png" in report.losses.reasons[0]
    run(tmp_path / "clip.mkv", tmp_path / "frames" / "%d.png", same)
    assert [path.name for path in numbered_files(tmp_path / "frames" / "%d.png")] == [f"{n}.png" for n in (1, 2, 3, 4)]
    assert times_of(tmp_path / "clip.mkv")["video"] == [0, Fraction(1, 10), Fraction(3, 10), Fraction(4, 10)]


def test_the_first_numbered_picture_that_can_be_read_sets_the_size(same: Path, tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(b"no picture")
    pattern = tmp_path / "%d.png"
    with pytest.raises(VideoError, match=r"has no picture in the requested part that can be read.*1\.png"):
        run(pattern, tmp_path / "out.mkv", same)
    for number in (2, 3):
        Image.new("RGB", (32, 48), (number * 20, 0, 0)).save(tmp_path / f"{number}.png")
    report = run(pattern, tmp_path / "out.mkv", same)
    assert (report.width, report.height, report.frames, report.losses.frames) == (32, 48, 2, 1)


def test_pictures_of_a_longer_result_that_remain_are_said(make_clip: Make, same: Path, tmp_path: Path) -> None:
    clip, pattern = make_clip(), tmp_path / "%02d.png"
    assert run(clip, pattern, same).notes == []
    assert run(clip, pattern, same, end=0.2).notes == ["files left from an earlier, longer result: 7"]


def test_a_start_after_the_last_numbered_picture_is_said(same: Path, tmp_path: Path) -> None:
    for number in (1, 2):
        Image.new("RGB", (32, 32)).save(tmp_path / f"{number}.png")
    with pytest.raises(VideoError, match=r"start is 3 s, but .*%d\.png ends at 0\.2 s"):
        run(tmp_path / "%d.png", tmp_path / "out.mkv", same, start=3.0, fps=Fraction(10))


@pytest.mark.parametrize("name", ["out.mkv", "%d.png"])
def test_the_folder_of_a_film_is_made_or_said_to_be_impossible(
    name: str, make_clip: Make, same: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match=r"cannot write .*file"):
        run(make_clip(), tmp_path / "file" / name, same)
    run(make_clip(), tmp_path / "new" / name, same)
    assert any((tmp_path / "new").iterdir())


@pytest.mark.parametrize(
    "name", ["50%discount.mp4", "take%03d.mp4", "take%03d.gif", "100%.mp4", "2022-01-26T20:57:04Z.mp4", "a:b%d.mkv"]
)
def test_a_percent_sign_or_a_colon_in_a_name_is_part_of_it(
    name: str, make_clip: Make, same: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_clip(f"clip{Path(name).suffix}").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    (job,) = plan_jobs([Path(name)], None, "same", None).jobs
    assert job.is_video == (source.suffix != ".gif")
    assert job.target == Path(name).with_stem(f"{Path(name).stem}-same")
    assert run(job.source, job.target, same).frames == len(moving_square())
    assert run(Path(name), Path("5%done:really.mp4"), same).frames == len(moving_square())
    assert len(read_frames(Path("5%done:really.mp4"))) == len(moving_square())
    run(source, Path("50%off%02d.png"), same)
    assert len(numbered_files(Path("50%off%02d.png"))) == len(moving_square())


def test_a_film_that_needs_no_flow_needs_no_opencv(make_clip: Make, negative: Path, tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "cv2.py").write_text("raise ImportError('libGL.so.1: cannot open shared object file')\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path / "broken"), *sys.path])}
    command = [sys.executable, "-m", "fast_style", "stylize", str(make_clip()), "-s", str(negative), "--no-steady"]
    target = tmp_path / "out.mp4"
    done = subprocess.run([*command, "-o", str(target)], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert len(read_frames(target)) == len(moving_square())


@pytest.mark.parametrize(
    ("style", "steady", "followed"),
    [("negative", False, False), ("negative", True, True), ("great-wave-tiny", False, True)],
)
def test_the_flow_is_computed_only_where_it_is_used(
    style: str,
    steady: bool,
    followed: bool,
    make_clip: Make,
    negative: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("cv2")
    from fast_style.films.motion import FrameMotion, MotionTracker

    frames: list[Planes] = []
    follow = MotionTracker.follow

    def count(tracker: MotionTracker, frame: Planes) -> FrameMotion:
        frames.append(frame)
        return follow(tracker, frame)

    monkeypatch.setattr(MotionTracker, "follow", count)
    stylizer = Stylizer(negative if style == "negative" else style, threads=1)
    stylize_video(make_clip(), tmp_path / "out.mp4", stylizer, VideoOptions(steady=steady), workers=2)
    assert len(frames) == (len(moving_square()) if followed else 0)


@pytest.mark.parametrize(
    ("given", "expected"), [({}, 4), ({"workers": 4}, 2), ({"threads": 3}, 3), ({"workers": 16}, 1)]
)
def test_frames_painted_at_once_share_the_cores_out(
    given: dict[str, Any], expected: int, make_clip: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pixels = moving_square()[0][0].size
    monkeypatch.setattr("fast_style.films.video.core_count", lambda: 8)
    monkeypatch.setattr("fast_style.films.video._PIXELS_AT_ONCE", 2 * pixels)  # frames so large that two fit
    used: list[int | None] = []
    fixed = StyleNetwork.fixed

    def count(network: StyleNetwork, statistics: Statistics) -> FixedNetwork:
        used.append(network.threads)
        return fixed(network, statistics)

    monkeypatch.setattr(StyleNetwork, "fixed", count)
    stylize_video(make_clip(), tmp_path / "out.mp4", Stylizer("starry-night-tiny", threads=1), **given)
    assert set(used) == {expected}


def test_the_av1_encoder_says_nothing_at_the_command_line(make_clip: Make, same: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fast_style", "stylize", str(make_clip()), "-s", str(same), "--codec", "av1"]
    done = subprocess.run([*command, "-o", str(tmp_path / "out.mkv")], capture_output=True, text=True, check=True)
    assert len(done.stderr.splitlines()) == 1, done.stderr


def test_single_frame(make_clip: Make, same: Path, tmp_path: Path) -> None:
    assert run(make_clip(frames=moving_square(1)), tmp_path / "out.webm", same).frames == 1
    assert len(read_frames(tmp_path / "out.webm")) == 1


@pytest.mark.parametrize(("fps", "frames"), [(Fraction(50), 24), (Fraction(5), 3)])
def test_fps_repeats_and_drops(make_clip: Make, same: Path, tmp_path: Path, fps: Fraction, frames: int) -> None:
    run(make_clip(), tmp_path / "out.mp4", same, fps=fps)
    found = times_of(tmp_path / "out.mp4")["video"]
    assert abs(len(found) - frames) <= 1
    assert found == [number / fps for number in range(len(found))]


def make_gif(path: Path, pauses: list[int], **options: Any) -> Path:
    """A GIF whose pictures are shown for some ms each."""
    pictures = [Image.new("RGB", (96, 64), (40 * number, 90, 200)) for number in range(len(pauses))]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=pauses, **options)
    return path


def make_uneven(
    path: Path, codec: str, times: list[int], end: int, shift: int = 0, *, keyframes: int = 10, **options: str
) -> Path:
    """A clip of gray pictures, ever lighter, at some times in ms; the last one until ``end``."""
    with av.open(str(path), "w", options=options) as out:
        stream: Any = out.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        context = stream.codec_context
        context.time_base, context.gop_size, context.max_b_frames = Fraction(1, 1000), keyframes, 0
        if codec == "mpeg2video":
            context.time_base = Fraction(1, 25)
        context.flags |= av.codec.context.Flags.frame_duration
        for number, (time_, until) in enumerate(zip(times, [*times[1:], end], strict=True)):
            frame = av.VideoFrame.from_ndarray(np.full((64, 96, 3), 16 + 5 * number, np.uint8), "rgb24")
            frame.pts, frame.duration, frame.time_base = time_ + shift, until - time_, Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def numbers_of(path: Path) -> list[int]:
    """Which pictures of :func:`make_uneven` a clip shows."""
    return [round((float(frame.planes.mean()) - 16) / 5) for frame in read_frames(path)]


def length_of(path: Path) -> float:
    with av.open(str(path)) as container:
        frame: Any = [*container.decode(video=0)][-1]
        return round(float((frame.pts + frame.duration) * frame.time_base), 2)


@pytest.mark.parametrize(
    "target", ["out.mp4", "out.mov", "out.mkv", "out.webm", "out.gif", "vp9.mkv", "h265.mp4", "av1.mkv"]
)
@pytest.mark.parametrize("source", ["in.mp4", "in.mkv", "in.webm", "in.gif"])
def test_the_last_frame_is_shown_as_long_as_before(source: str, target: str, same: Path, tmp_path: Path) -> None:
    if source == "in.gif":
        clip = make_gif(tmp_path / source, [30, 30, 440, 500, 2000])
    else:
        codec = "libvpx" if source == "in.webm" else "libx264"
        clip = make_uneven(tmp_path / source, codec, [0, 30, 60, 500, 1000], 3000)
    codec_name = target.split(".")[0]
    run(clip, tmp_path / target, same, codec=None if codec_name == "out" else codec_name)
    assert length_of(tmp_path / target) == 3
    run(clip, tmp_path / target, same, end=2.0, codec=None if codec_name == "out" else codec_name)
    assert length_of(tmp_path / target) == 2


def test_numbered_pictures_are_not_painted_over_themselves(same: Path, tmp_path: Path) -> None:
    for number in range(3):
        save_image(Picture(np.full((32, 32, 3), 9 * number, np.uint8)), tmp_path / f"{number:04}.png")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    command = ["stylize", str(tmp_path / "%d.png"), "--style", str(same), "-o", str(tmp_path / "%04d.png"), "--force"]
    assert main(command) == 2
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("fps", [25, 5])
def test_a_slower_film_leaves_out_frames_evenly(same: Path, tmp_path: Path, fps: int) -> None:
    clip = make_uneven(tmp_path / "in.mkv", "libx264", [20 * number for number in range(40)], 800, qp="0")
    run(clip, tmp_path / "out.mkv", same, fps=Fraction(fps), quality=95)
    assert {*np.diff(numbers_of(tmp_path / "out.mkv")[1:-1])} == {50 // fps}


def test_fps_repeats_the_last_frame_until_its_end(same: Path, tmp_path: Path) -> None:
    run(
        make_uneven(tmp_path / "in.mkv", "libx264", [0, 33, 66, 500, 1000], 3000),
        tmp_path / "o.mp4",
        same,
        fps=Fraction(10),
    )
    assert times_of(tmp_path / "o.mp4")["video"] == [Fraction(number, 10) for number in range(30)]


@pytest.mark.parametrize(
    ("loop", "pauses"), [({}, [100, 3000]), ({"loop": 0}, [3000]), ({"loop": 2}, [100, 100, 655_350])]
)
def test_a_gif_is_repeated_as_often_as_before(
    loop: dict[str, int], pauses: list[int], same: Path, tmp_path: Path
) -> None:
    run(make_gif(tmp_path / "in.gif", pauses, **loop), tmp_path / "out.gif", same)
    with Image.open(tmp_path / "out.gif") as gif:
        assert gif.info.get("loop") == loop.get("loop")
        gif.seek(len(pauses) - 1)
        assert gif.info["duration"] == pauses[-1]


@pytest.mark.parametrize("source", ["in.mp4", "in.mkv", "in.webm", "in.ts", "in.mov"])
def test_an_avi_has_the_rate_of_the_film_and_no_empty_chunks(source: str, same: Path, tmp_path: Path) -> None:
    clip = make_uneven(tmp_path / source, "libvpx" if source == "in.webm" else "libx264", [*range(0, 1000, 100)], 1000)
    run(clip, tmp_path / "out.avi", same)
    with av.open(str(tmp_path / "out.avi")) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == stream.frames == 10
    report = run(tmp_path / "out.avi", tmp_path / "back.mp4", same)
    assert (report.frames, report.losses.reasons) == (10, [])


@pytest.mark.parametrize("start", [50_000, 17_400_000])
@pytest.mark.parametrize("source", ["in.ts", "in.mts", "in.mpg", "in.webm", "in.mkv"])
def test_a_clock_that_starts_late_is_set_to_nought(source: str, start: int, same: Path, tmp_path: Path) -> None:
    codec = {"in.mpg": "mpeg2video", "in.webm": "libvpx"}.get(source, "libx264")
    times = [*range(0, 1600, 40)] if source == "in.mpg" else [*range(0, 2000, 100)]
    clip = make_uneven(tmp_path / source, codec, times, 2000, start, avoid_negative_ts="0")
    for target in ("out.mp4", "out.mkv", "out.mov"):
        for end in (None, 1.5):
            report = run(clip, tmp_path / target, same, end=end)
            found = times_of(tmp_path / target)["video"]
            assert found[0] == 0
            assert (
                round(float(found[-1]), 2) == (times[-1] if end is None else max(t for t in times if t < 1500)) / 1000
            )
            assert report.losses.reasons == []


@pytest.mark.parametrize("target", ["out.mp4", "out.mkv", "out.avi"])
def test_a_clock_that_begins_anew_is_read_through(target: str, same: Path, tmp_path: Path) -> None:
    # A transport stream counts up to 2^33 / 90,000 = 95,443.7 s; 1.1 s of the clip are before that.
    clip = make_uneven(tmp_path / "in.ts", "libx264", [*range(0, 2000, 100)], 2000, 95_442_600)
    run(clip, tmp_path / target, same)
    assert numbers_of(tmp_path / target) == list(range(20))
    assert times_of(tmp_path / target)["video"][0] == 0


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
@pytest.mark.parametrize("start", [0, 0.5])
def test_frames_of_an_avi_that_depend_on_later_ones_are_shown_in_time(
    codec: str, start: float, same: Path, tmp_path: Path
) -> None:
    with av.open(str(tmp_path / "in.avi"), "w") as out:
        stream: Any = out.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.codec_context.max_b_frames, stream.codec_context.gop_size = 2, 10
        stream.codec_context.qmax = 2
        for number in range(20):
            pixels = np.full((64, 96, 3), 16 + 5 * number, np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        out.mux(stream.encode(None))
    run(tmp_path / "in.avi", tmp_path / "out.mkv", same, start=start)
    assert numbers_of(tmp_path / "out.mkv") == list(range(round(10 * start), 20))
    assert times_of(tmp_path / "out.mkv")["video"] == [Fraction(n, 10) for n in range(20 - round(10 * start))]


def test_the_last_packet_of_sound_has_its_length(make_clip: Make, same: Path, tmp_path: Path) -> None:
    source = join(tmp_path / "in.mkv", make_clip(), make_sound(tmp_path / "a.mkv", "alac"))
    run(source, tmp_path / "out.mp4", same)
    assert bytes_of(tmp_path / "out.mp4", "audio") == bytes_of(source, "audio")


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "out.avi"])
def test_sound_whose_times_go_back_is_kept(name: str, make_clip: Make, tmp_path: Path) -> None:
    sound = make_sound(tmp_path / "a.mkv", "mp3")
    with contextlib.closing(VideoReader(join(tmp_path / "in.mkv", make_clip(), sound))) as film:
        packets: list[Any] = [item for item in film if not isinstance(item, Frame)]
        for number in (4, 5, 8):  # the same time twice, and earlier ones
            packets[number].pts = packets[number].dts = packets[3].pts
        form = VideoFormat(64, 48, Fraction(25), Fraction(1, 25))
        with contextlib.closing(VideoWriter(tmp_path / name, form, film=film)) as writer:
            for packet in packets:
                writer.copy(packet)
            writer.write(writer.pack(writer.blank()), 0, 1)
    assert bytes_of(tmp_path / name, "audio") == bytes_of(sound, "audio")
    times = times_of(tmp_path / name)["audio"]
    assert times == sorted(times)


def test_a_film_of_jpegs_can_be_written(make_clip: Make, same: Path, tmp_path: Path) -> None:
    run(make_clip(frames=moving_square(3)), tmp_path / "out.mov", same, codec="mjpeg")
    assert len(read_frames(tmp_path / "out.mov")) == 3


def test_a_late_start_of_an_mp4_is_kept(same: Path, tmp_path: Path) -> None:
    run(make_uneven(tmp_path / "in.mp4", "libx264", [0, 100], 200, 2000), tmp_path / "out.mp4", same)
    assert times_of(tmp_path / "out.mp4")["video"] == [2, Fraction(21, 10)]


@pytest.mark.parametrize("source", ["in.ts", "in.mts", "in.mkv", "in.mp4"])
@pytest.mark.parametrize("late", [0, 17_400_000])
@pytest.mark.parametrize("keyframes", [10, 100])
def test_a_part_has_every_frame_of_it(source: str, late: int, keyframes: int, same: Path, tmp_path: Path) -> None:
    clip = make_uneven(tmp_path / source, "libx264", [*range(0, 4000, 100)], 4000, late, keyframes=keyframes)
    run(clip, tmp_path / "part.mkv", same, start=1.5, end=2.5, codec="ffv1")
    assert numbers_of(tmp_path / "part.mkv") == [*range(15, 25)]
    assert times_of(tmp_path / "part.mkv")["video"] == [Fraction(number, 10) for number in range(10)]


def trimmed(clip: Path, target: Path, start: int, end: int) -> Path:
    """Copy packets from the keyframe before a time in ms on; an edit list hides the frames before that time."""
    with av.open(str(clip)) as source, av.open(str(target), "w") as out:
        stream = source.streams.video[0]
        copy = out.add_stream_from_template(stream)
        source.seek(start * 1000)
        for packet in source.demux(stream):
            if packet.dts is None or packet.pts is None or packet.time_base is None:
                continue
            if packet.pts * packet.time_base * 1000 < end:
                shift = round(Fraction(start, 1000) / packet.time_base)
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = copy
                out.mux(packet)
    return target


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
@pytest.mark.parametrize("end", [4000, 3000])
def test_frames_that_an_edit_list_hides_are_not_missed(suffix: str, end: int, same: Path, tmp_path: Path) -> None:
    whole = make_uneven(tmp_path / f"in{suffix}", "libx264", [*range(0, 4000, 100)], 4000)
    clip = trimmed(whole, tmp_path / f"trimmed{suffix}", 1500, end)
    told: list[int | None] = []
    look = VideoOptions(steady=False)
    report = stylize_video(
        clip, tmp_path / "o.mp4", Stylizer(same, threads=1), look, progress=lambda _, expected: told.append(expected)
    )
    assert report.losses.reasons == []
    assert numbers_of(tmp_path / "o.mp4") == [*range(15, end // 100)]
    assert set(told) == {report.frames}


@pytest.mark.parametrize("name", ["in.mkv", "in.webm", "in.ts", "in.mp4", "in.avi"])
@pytest.mark.parametrize("audio", [True, False])
def test_sound_that_is_longer_than_the_picture_is_no_loss(name: str, audio: bool, same: Path, tmp_path: Path) -> None:
    sound = make_sound(tmp_path / "a.mkv", "libopus" if name == "in.webm" else "aac", 4.0)
    codec = {"in.webm": "libvpx", "in.avi": "mpeg4"}.get(name, "libx264")
    picture = make_uneven(tmp_path / f"p{'.mkv' if name == 'in.mp4' else Path(name).suffix}", codec, [0, 100, 200], 300)
    report = run(join(tmp_path / name, picture, sound), tmp_path / "out.mkv", same, audio=audio)
    assert (report.frames, report.losses.reasons) == (3, [])


def test_empty_chunks_of_an_avi_are_no_loss(same: Path, tmp_path: Path) -> None:
    clip = make_uneven(tmp_path / "in.avi", "mpeg4", [0, 100, 200, 500, 600], 700)
    report = run(clip, tmp_path / "out.mp4", same)
    assert (report.frames, report.losses.reasons) == (5, [])


def test_an_avi_that_ends_early_is_reported(make_clip: Make, same: Path, tmp_path: Path) -> None:
    data = make_clip("in.avi", frames=noise(24)).read_bytes()
    (tmp_path / "cut.avi").write_bytes(data[: len(data) // 2])
    report = run(tmp_path / "cut.avi", tmp_path / "out.mp4", same)
    assert report.frames < 20
    assert report.losses.reasons


@pytest.mark.parametrize(
    ("target", "codec"),
    [
        ("o.mp4", None),
        ("o.mov", None),
        ("o.avi", None),
        ("o.mkv", None),
        ("o.mkv", "h265"),
        ("o.mkv", "vp9"),
        ("o.mkv", "av1"),
        ("o.webm", "vp9"),
        ("o.webm", "av1"),
        ("o.gif", None),
        ("%d.png", None),
    ],
)
def test_pixels_keep_their_shape_or_become_square(target: str, codec: str | None, same: Path, tmp_path: Path) -> None:
    aspect, squared = Fraction(16, 11), {"o.webm", "o.gif", "%d.png", "vp9", "av1"}
    with av.open(str(tmp_path / "in.mkv"), "w") as out:
        stream: Any = out.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 176, 144, "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        for _ in range(3):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((144, 176, 3), 90, np.uint8), "rgb24")))
        out.mux(stream.encode(None))
    run(tmp_path / "in.mkv", tmp_path / target, same, codec=codec)
    with av.open(str(tmp_path / (target % 1 if "%" in target else target))) as container:
        shown = container.streams.video[0]
        shape = Fraction(shown.width, shown.height) * (shown.sample_aspect_ratio or 1)
        assert float(shape) == pytest.approx(float(aspect * 176 / 144), abs=0.005)
        assert shown.width == (256 if target in squared or codec in squared else 176)


def test_an_avi_has_every_frame_of_a_part_that_begins_between_two(make_clip: Make, same: Path, tmp_path: Path) -> None:
    clip = make_clip("in.mkv", times=[2 * number for number in range(12)], time_base=Fraction(1, 50))
    assert run(clip, tmp_path / "out.avi", same, start=0.1).frames == len(read_frames(tmp_path / "out.avi")) == 10


def test_a_codec_of_rgb_keeps_the_colors(make_clip: Make, same: Path, tmp_path: Path) -> None:
    orange = np.broadcast_to(np.array([255, 128, 5], np.uint8)[:, None, None], (3, 48, 64))
    run(make_clip("in.mkv", frames=[orange] * 3, codec="libx264rgb"), tmp_path / "out.mkv", same, codec="libx264rgb")
    for frame in read_frames(tmp_path / "out.mkv"):
        assert np.abs(frame.planes.mean((1, 2)) - (255, 128, 5)).max() < 3


def test_an_avi_has_every_frame_of_a_gif_with_a_pause(same: Path, tmp_path: Path) -> None:
    run(make_gif(tmp_path / "in.gif", [100, 100, 100, 3000]), tmp_path / "out.avi", same)
    assert len(read_frames(tmp_path / "out.avi")) == 4


def test_sound_that_starts_before_the_picture_does_not_put_off_an_avi(same: Path, tmp_path: Path) -> None:
    sound = make_sound(tmp_path / "a.mkv", "aac", 3.0)  # starts at -21 ms, with what the decoder drops
    clip = make_uneven(tmp_path / "p.mkv", "libx264", [*range(0, 1000, 100)], 1000)
    run(join(tmp_path / "in.mkv", clip, sound), tmp_path / "out.avi", same)
    assert times_of(tmp_path / "out.avi")["video"] == [Fraction(number, 10) for number in range(10)]


def test_side_by_side_has_the_original_on_the_left(make_clip: Make, negative: Path, tmp_path: Path) -> None:
    run(make_clip(), tmp_path / "out.mp4", negative, side_by_side=True)
    first = read_frames(tmp_path / "out.mp4")[0].planes.astype(int)
    assert first.shape == (3, 48, 128)
    assert abs(first[:, 30:, :60] - 90).max() < 6
    assert abs(first[:, 30:, 70:] - 165).max() < 6


def test_damaged_frames_are_finished_and_counted(make_clip: Make, same: Path, tmp_path: Path) -> None:
    data = bytearray(make_clip(frames=noise(24)).read_bytes())
    index = data.rindex(b"moov")
    data[index // 2 : index - 8] = bytes(index - 8 - index // 2)
    (tmp_path / "bad.mp4").write_bytes(data)
    report = run(tmp_path / "bad.mp4", tmp_path / "out.mp4", same)
    assert 0 < report.frames <= 24
    assert report.losses.frames > 2
    assert "damaged" in report.losses.reasons[0]
    assert len(read_frames(tmp_path / "out.mp4")) == report.frames


def test_a_file_that_ends_early_is_finished_and_reported(make_clip: Make, same: Path, tmp_path: Path) -> None:
    clip = make_clip("long.mkv", frames=noise(24), times=[number * 25 for number in range(24)])
    (tmp_path / "cut.mkv").write_bytes(clip.read_bytes()[: clip.stat().st_size * 6 // 10])
    report = run(tmp_path / "cut.mkv", tmp_path / "out.mkv", same)
    assert 5 < report.frames < 20
    assert "early" in report.losses.reasons[0]


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "not a video"), (b"no video" * 99, "not a video"), (None, "does not exist")]
)
def test_what_is_no_video_is_an_error(content: bytes | None, said: str, same: Path, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "clip.mp4").write_bytes(content)
    with pytest.raises(VideoError, match=said):
        run(tmp_path / "clip.mp4", tmp_path / "out.mp4", same)
    assert [path.name for path in tmp_path.iterdir()] == (["clip.mp4"] if content is not None else [])


def test_sound_without_pictures_is_an_error(clips: Path, same: Path, tmp_path: Path) -> None:
    with av.open(str(clips / "bigbuckbunny.mp4")) as source, av.open(str(tmp_path / "a.mp4"), "w") as out:
        copy = out.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = copy
                out.mux(packet)
    with pytest.raises(VideoError, match="holds no video"):
        run(tmp_path / "a.mp4", tmp_path / "out.mp4", same)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"blend": 2.0}, "blend is 2"),
        ({"size": 4}, "size is 4"),
        ({"fps": Fraction(0)}, "fps is 0"),
        ({"start": 2.0, "end": 1.0}, "start is 2"),
        ({"quality": 0}, "quality is 0"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        VideoOptions(**options)


def test_a_part_begins_with_the_picture_that_is_on_the_screen(make_clip: Make, same: Path, tmp_path: Path) -> None:
    slides = [np.full((3, 48, 64), level, np.uint8) for level in (40, 120, 200)]
    clip = make_clip("slides.mkv", frames=slides, times=[0, 125, 250], codec="ffv1")  # of five seconds each
    assert run(clip, tmp_path / "part.mkv", same, start=2.0, end=4.0, codec="ffv1").frames == 1
    assert run(clip, tmp_path / "late.mkv", same, start=4.5, end=6.0, codec="ffv1").frames == 2
    run(clip, tmp_path / "rest.mkv", same, start=2.0, codec="ffv1")
    assert times_of(tmp_path / "rest.mkv")["video"] == [0, 3, 8]
    levels = [frame.planes.mean() for frame in read_frames(tmp_path / "rest.mkv")]
    np.testing.assert_allclose(levels, [40, 120, 200], atol=3)


def test_a_start_after_the_end_of_the_file_is_an_error(make_clip: Make, same: Path, tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="no frame"):
        run(make_clip(), tmp_path / "out.mp4", same, start=99.0)
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of a process is read from Linux's /proc")
def test_memory_does_not_grow_with_the_length(make_clip: Make, same: Path, tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from fast_style import Stylizer\n"
        "from fast_style.films.video import stylize_video\n"
        "stylize_video(sys.argv[1], sys.argv[2], Stylizer(sys.argv[3], threads=1), workers=2)\n"
        "lines = Path('/proc/self/status').read_text().splitlines()\n"
        "print(next(line.split()[1] for line in lines if line.startswith('VmHWM')))"
    )
    peaks = []
    for count in (20, 600):
        frames = [frame for frame in moving_square(20, 320, 240) for _ in range(count // 20)]
        clip = make_clip(f"{count}.mp4", frames=frames)
        command = [sys.executable, "-c", script, str(clip), str(tmp_path / f"out-{count}.mp4"), str(same)]
        peaks.append(int(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    # 580 more frames of 320 by 240 px would be 134 MB as uint8; what libraries keep varies by some 20 MB.
    assert peaks[1] - peaks[0] < 60_000


def test_ctrl_c_leaves_a_file_that_plays(make_clip: Make, same: Path, tmp_path: Path) -> None:
    frames = noise(20) * 50
    clip, target = make_clip(frames=frames), tmp_path / "out.mp4"
    # x264 looks 40 frames ahead: once its first bytes are in the temporary file, many frames are done.
    command = ["stylize", str(clip), "--style", str(same), "-o", str(target)]
    done = run_interrupted(*command, results=tmp_path, pattern=".out-*", size=100_000)
    assert done.returncode == 130, done
    assert "interrupted" in done.stderr
    assert 0 < len(read_frames(target)) < len(frames)
    assert not list(tmp_path.glob(".out-*"))


def damaged(data: bytes, generator: random.Random) -> bytes:
    """Cut a file short, or flip up to twenty of its bits."""
    if generator.random() < 0.4:
        return data[: generator.randrange(len(data))]
    changed = bytearray(data)
    for _ in range(generator.randint(1, 20)):
        changed[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
    return bytes(changed)


@pytest.mark.parametrize("kind", ["mp4", "mkv", "webm", "avi", "gif"])
def test_damaged_videos_are_finished_or_refused(kind: str, make_clip: Make, same: Path, tmp_path: Path) -> None:
    data = make_clip(f"whole.{kind}").read_bytes()
    stylizer, generator = Stylizer(same, threads=1), random.Random(kind)
    bad, out = tmp_path / f"bad.{kind}", tmp_path / "out.mkv"
    said: list[str] = []
    there: list[bool] = []
    for _ in range(12):
        bad.write_bytes(damaged(data, generator))
        out.unlink(missing_ok=True)
        try:
            report = stylize_video(bad, out, stylizer, workers=2)
        except FastStyleError as error:
            said.append(str(error))
            there.append(out.exists())
        else:
            assert len(read_frames(out)) == report.frames
    assert not list(tmp_path.glob(".out-*"))
    assert not any(there)
    assert all(text for text in said)


def test_frames_of_the_fast_path_equal_a_plain_run(negative: Path) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (33, 47, 3), np.uint8)
    assert (Stylizer(negative).frame(frame) == 255 - frame).all()
    picture = Stylizer(negative)(Image.fromarray(frame))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    assert (np.asarray(picture) == 255 - frame).all()


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [(".dv", "dvvideo"), (".mxf", "mpeg2video"), (".vob", "mpeg2video"), (".m2v", "mpeg2video"), (".asf", "wmv2")],
)
def test_the_rate_of_cameras_and_broadcasters_films_is_kept(
    suffix: str, codec: str, same: Path, tmp_path: Path
) -> None:
    source = tmp_path / f"in{suffix}"
    with av.open(str(source), "w") as film:
        stream = film.add_stream(codec, rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 720, 576, "yuv420p"
        # This container has no film without sound, and no time of its own.
        sound = film.add_stream("pcm_s16le", rate=48000, layout="stereo") if suffix == ".dv" else None
        for number in range(10):
            film.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((576, 720, 3), 20 * number, np.uint8))))
            if sound is not None:
                silence = av.AudioFrame.from_ndarray(np.zeros((1, 2 * 1920), np.int16), "s16", "stereo")
                silence.sample_rate, silence.pts = 48000, 1920 * number
                film.mux(sound.encode(silence))
        film.mux(stream.encode())
    (job,) = plan_jobs([source], None, "same", None).jobs
    assert job.is_video
    report = run(source, tmp_path / "out.mp4", same, size=96)
    assert (report.frames, report.losses.reasons) == (10, [])
    assert times_of(tmp_path / "out.mp4")["video"] == [Fraction(number, 25) for number in range(10)]


def test_a_disk_that_is_full_is_said_with_the_name_of_the_film(make_clip: Make, same: Path, tmp_path: Path) -> None:
    make_clip("in.mkv", frames=noise(20), codec="ffv1")
    command = [sys.executable, "-m", "fast_style", "stylize", "in.mkv", "--style", str(same), "-o", "out.mp4"]

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    # As on a full disk, writing fails in the midst of the film.
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, preexec_fn=limit)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "error: in.mkv: cannot write out.mp4: File too large"
    assert [path.name for path in tmp_path.iterdir() if "out" in path.name] == []
