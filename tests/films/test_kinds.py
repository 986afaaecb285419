"""What docs/files.md says is kept of films and their sound."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from fast_style import Stylizer
from fast_style.films.video import VideoOptions, stylize_video

PAGE = (Path(__file__).parents[2] / "docs" / "files.md").read_text(encoding="utf-8")
QUIET = {"libx265": {"x265-params": "log-level=none"}, "libsvtav1": {"preset": "10"}}


def kept(heading: str) -> list[tuple[str, list[str]]]:
    """The rows of a table of the page, each with the columns in which it has a check mark."""
    table = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    head, _, *rows = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("|")]
    return [
        (row[0].strip(), [name.strip() for name, cell in zip(head, row, strict=True) if "✓" in cell]) for row in rows
    ]


def write_film(path: Path, codec: str) -> Path:
    """Write ten frames, each brighter than the last, at ten a second."""
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream(codec, rate=10, options=QUIET.get(codec, {}))
        stream.width, stream.height = 64, 48
        known = [format.name for format in av.Codec(codec, "w").video_formats or ()]
        stream.pix_fmt = next((name for name in ("yuv420p", "yuvj420p", "rgb24") if name in known), known[0])
        stream.codec_context.color_range = 2 if codec == "mjpeg" else 1
        for number in range(10):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 + 20 * number, np.uint8), "rgb24")
            frame = frame.reformat(format=stream.pix_fmt, dst_color_range=stream.codec_context.color_range)
            frame.pts, frame.time_base = number, Fraction(1, 10)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def check_film(path: Path) -> None:
    """All frames are shown in their order, and at their times."""
    with av.open(str(path)) as film:
        shown = [(frame.time or 0.0, float(frame.to_ndarray(format="rgb24").mean())) for frame in film.decode(video=0)]
    assert [round((gray - 20) / 20) for _, gray in shown] == [*range(10)]
    times, error = [time for time, _ in shown], 2e-3
    if path.suffix == ".avi":  # which stores the order of decoding only
        with av.open(str(path)) as film:
            times = [float(each.dts * each.time_base) for each in film.demux(video=0) if each.dts is not None]
        error = 0.05
    assert np.subtract(times, times[0]) == pytest.approx(np.arange(10) / 10, abs=error)


def stylize(source: Path, target: Path, style: Path, **options: Any) -> Path:
    report = stylize_video(source, target, Stylizer(style, threads=1), VideoOptions(**options), workers=2)
    assert not report.losses
    return target


@pytest.mark.parametrize(("codec", "containers"), kept("Films that are read"))
def test_a_film_is_read(codec: str, containers: Sequence[str], same: Path, tmp_path: Path) -> None:
    for container in containers:
        source = write_film(tmp_path / f"in.{container}", codec)
        check_film(stylize(source, tmp_path / "out.mp4", same))


@pytest.mark.parametrize(("codec", "containers"), kept("Films that are written"))
def test_a_film_is_written(codec: str, containers: Sequence[str], same: Path, tmp_path: Path) -> None:
    source = write_film(tmp_path / "in.mkv", "libx264")
    for container in containers:
        codec_asked = None if codec == "default" else codec
        check_film(stylize(source, tmp_path / f"out.{container}", same, codec=codec_asked))
