"""What a film has beside pictures, sound and subtitles."""

import io
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from av.stream import Disposition
from PIL import Image

from tests.films.test_video import run

Make = Callable[..., Path]


def picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), "red").save(buffer, "JPEG")
    return buffer.getvalue()


def with_extras(make_clip: Make, path: Path, *, tags: dict[str, str] | None = None) -> Path:
    """A film of 0.48 s with two chapters, a font and a cover."""
    with av.open(str(make_clip())) as clip, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(clip.streams.video[0])
        out.metadata.update(tags or {})
        chapters: Any = [
            {"id": number, "start": start, "end": end, "time_base": Fraction(1, 1000), "metadata": {"title": title}}
            for number, (start, end, title) in enumerate([(0, 200, "One"), (200, 480, "Two")])
        ]
        out.set_chapters(chapters)
        if path.suffix == ".mkv":
            out.add_attachment("font.ttf", "font/ttf", b"a font")
            out.add_attachment("cover.jpg", "image/jpeg", picture())
        for packet in clip.demux(clip.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    return path


def chapters_of(path: Path) -> tuple[list[str], list[float]]:
    """Titles, and starts and ends, seconds."""
    with av.open(str(path)) as film:
        chapters: list[Any] = [*film.chapters()]
    times = [float(each[side] * each["time_base"]) for each in chapters for side in ("start", "end")]
    return [each["metadata"]["title"] for each in chapters], times


@pytest.mark.parametrize("target", [".mkv", ".mp4", ".mov", ".webm"])
def test_chapters_are_kept_and_move_with_the_start(target: str, make_clip: Make, same: Path, tmp_path: Path) -> None:
    source = with_extras(make_clip, tmp_path / "in.mkv")
    run(source, tmp_path / f"out{target}", same)
    titles, times = chapters_of(tmp_path / f"out{target}")
    assert titles == ["One", "Two"]
    assert times == pytest.approx([0, 0.2, 0.2, 0.48], abs=0.02)
    run(source, tmp_path / f"part{target}", same, start=0.12, end=0.4)
    titles, times = chapters_of(tmp_path / f"part{target}")
    assert titles == ["One", "Two"]
    assert times == pytest.approx([0, 0.08, 0.08, 0.28], abs=0.02)


def test_fonts_and_cover_of_a_matroska_film_are_kept(make_clip: Make, same: Path, tmp_path: Path) -> None:
    report = run(with_extras(make_clip, tmp_path / "in.mkv"), tmp_path / "out.mkv", same)
    assert report.notes == []
    with av.open(str(tmp_path / "out.mkv")) as film:
        font: Any = next(stream for stream in film.streams if stream.type == "attachment")
        assert (font.name, font.data) == ("font.ttf", b"a font")
        cover = film.streams.video[1]
        assert cover.disposition & Disposition.attached_pic
        assert next(bytes(packet) for packet in film.demux(cover)) == picture()


def test_the_cover_of_an_mp4_is_kept(make_clip: Make, same: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.mp4", tmp_path / "second.mp4"
    report = run(with_extras(make_clip, tmp_path / "in.mkv"), first, same)
    assert report.notes == ["attached files, such as fonts, left out: .mp4 cannot hold them"]
    assert run(first, second, same).notes == []
    with av.open(str(second)) as film:
        assert next(bytes(packet) for packet in film.demux(film.streams.video[1])) == picture()


@pytest.mark.parametrize(
    ("suffix", "missing"),
    [
        (".avi", ["chapters", "attached files, such as fonts,", "the cover"]),
        (".m4v", ["attached files, such as fonts,", "the cover"]),
        (".mov", ["attached files, such as fonts,", "the cover"]),
        (".webm", ["attached files, such as fonts,", "the cover"]),
    ],
)
def test_what_a_file_cannot_hold_is_said(
    suffix: str, missing: list[str], make_clip: Make, same: Path, tmp_path: Path
) -> None:
    report = run(with_extras(make_clip, tmp_path / "in.mkv"), tmp_path / f"out{suffix}", same)
    assert report.notes == [
        f"{what} left out: {suffix} cannot hold {'it' if what == 'the cover' else 'them'}" for what in missing
    ]


def test_a_second_picture_and_streams_of_data_are_said_to_be_left_out(
    make_clip: Make, same: Path, tmp_path: Path
) -> None:
    source = tmp_path / "in.ts"
    with av.open(str(make_clip())) as clip, av.open(str(source), "w") as out:
        copies = [out.add_stream_from_template(clip.streams.video[0]) for _ in range(2)]
        data = out.add_data_stream("klv")
        for packet in clip.demux(clip.streams.video[0]):
            if packet.dts is not None:
                for copy in copies:
                    again = av.Packet(bytes(packet))
                    again.pts, again.dts, again.time_base, again.stream = packet.pts, packet.dts, packet.time_base, copy
                    out.mux(again)
                extra = av.Packet(b"place")
                extra.pts, extra.dts, extra.time_base, extra.stream = packet.pts, packet.dts, packet.time_base, data
                out.mux(extra)
    report = run(source, tmp_path / "out.mp4", same)
    assert report.notes == [
        "only the first of 2 video tracks was stylized, the others left out",
        "1 stream of data, such as GPS, left out",
    ]


@pytest.mark.parametrize(
    ("code", "kept"), [("01:02:03:04", True), ("01:02:03;04", False), ("noon", False), ("01:00:00:0", False)]
)
@pytest.mark.parametrize("key", ["timecode", "TIMECODE"])
def test_a_timecode_is_kept_if_it_is_one(
    key: str, code: str, kept: bool, make_clip: Make, same: Path, tmp_path: Path
) -> None:
    source = with_extras(make_clip, tmp_path / "in.mkv", tags={key: code})
    notes = run(source, tmp_path / "out.mov", same).notes
    assert (f"the timecode {code} left out" in notes) != kept
    with av.open(str(tmp_path / "out.mov")) as film:
        assert film.streams.video[0].metadata.get("timecode") == (code if kept else None)
