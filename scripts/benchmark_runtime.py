"""Measure what the runtime adds to the bare ONNX session.

    python scripts/benchmark_runtime.py STYLE --video CLIP.mp4 --photos FOLDER

Each round runs everything in turn, so that a machine that slows down slows all down alike; the medians of the
rounds and the ratios are printed.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import onnxruntime

from fast_style.images import find_images, load_image, to_float
from fast_style.runtime.photos import PhotoJob, PhotoOptions, stylize_photos
from fast_style.runtime.reading import Frame, VideoReader
from fast_style.runtime.session import core_count
from fast_style.runtime.stylizer import Stylizer
from fast_style.runtime.video import VideoOptions, stylize_video
from fast_style.runtime.writing import VideoFormat, VideoWriter
from fast_style.styles import find_style

SIZES = {"360p": (640, 360), "720p": (1280, 720)}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("style")
    parser.add_argument("--video", type=Path)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--count", type=int, default=100, help="photos")
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), choices=list(SIZES))
    arguments = parser.parse_args()
    model, cores = str(find_style(arguments.style).path), core_count()
    print(f"{arguments.style}, {cores} cores, ONNX Runtime {onnxruntime.__version__}, {arguments.rounds} rounds")
    with tempfile.TemporaryDirectory() as folder:
        if arguments.video:
            for name in arguments.sizes:
                video(model, cores, arguments, name, Path(folder))
        if arguments.photos:
            photos(model, cores, arguments, Path(folder))


def video(model: str, cores: int, arguments: argparse.Namespace, name: str, folder: Path) -> None:
    """Frames a second of a whole video run, and of bare sessions on the same frames."""
    clip, frames = make_clip(arguments.video, folder / f"{name}.mp4", SIZES[name], arguments.frames)
    images = [to_float(np.ascontiguousarray(frame.transpose(1, 2, 0))) for frame in frames]
    stylizer = Stylizer(model, threads=1)

    def whole() -> None:
        stylize_video(clip, folder / "out.mp4", stylizer, VideoOptions())

    report(name, images, model, cores, whole, arguments.rounds)


def photos(model: str, cores: int, arguments: argparse.Namespace, folder: Path) -> None:
    """Photos a second of a whole folder, and of bare sessions on the same photos."""
    files = find_images(arguments.photos)[: arguments.count]
    images = [to_float(load_image(file).pixels) for file in files]
    jobs = [PhotoJob(file, folder / "photos" / file.name) for file in files]

    def whole() -> None:
        failed = [outcome for outcome in stylize_photos(jobs, model, PhotoOptions(), force=True) if outcome.error]
        assert not failed, failed[0].error

    report(f"{len(files)} photos", images, model, cores, whole, arguments.rounds)


def report(name: str, images: list[np.ndarray], model: str, cores: int, whole: Callable[[], None], rounds: int) -> None:
    """Print the medians of the whole run and of bare sessions: all threads in one, and one thread in each of many."""
    together, apart = bare_session(model, cores), bare_session(model, 1)
    cases: dict[str, Callable[[], None]] = {
        "whole": whole,
        f"bare, 1 at once × {cores} threads": lambda: run_bare(together, images, 1),
        f"bare, {cores} at once × 1 thread": lambda: run_bare(apart, images, cores),
    }
    times: dict[str, list[float]] = {case: [] for case in cases}
    for once in cases.values():
        once()
    for _ in range(rounds):
        for case, once in cases.items():
            start = time.perf_counter()
            once()
            times[case].append(time.perf_counter() - start)
    for case in cases:
        median = statistics.median(times[case])
        ratio = statistics.median(b / a for a, b in zip(times["whole"], times[case], strict=True))
        print(f"{name:>12}  {case:<32} {len(images) / median:7.2f} a second   whole / this = {ratio:.3f}")


def bare_session(model: str, threads: int) -> onnxruntime.InferenceSession:
    """A session with ONNX Runtime's own defaults but for the number of threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run_bare(session: onnxruntime.InferenceSession, images: list[np.ndarray], callers: int) -> None:
    """Run every image through the session and do nothing else."""
    name = session.get_inputs()[0].name

    def share(first: int) -> None:
        for image in images[first::callers]:
            session.run(None, {name: image})

    threads = [threading.Thread(target=share, args=(first,)) for first in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def make_clip(source: Path, target: Path, size: tuple[int, int], count: int) -> tuple[Path, list[np.ndarray]]:
    """Write the first frames of a clip at a size, (width, height) px; return it and the frames, (3, H, W) uint8."""
    width, height = size
    with VideoReader(source, size=max(size)) as reader:
        frames = [item.planes for item in reader if isinstance(item, Frame)][:count]
        # A clip of other proportions is repeated to fill the frame.
        wide = [np.pad(frame, ((0, 0), (0, height), (0, width)), "wrap")[:, :height, :width] for frame in frames]
        frames = [np.ascontiguousarray(frame) for frame in wide]
        writer = VideoWriter(target, VideoFormat(width, height, reader.rate, Fraction(1, 1) / reader.rate))
        for number, frame in enumerate(frames):
            writer.write(writer.pack(frame), number)
        writer.close()
    return target, frames


if __name__ == "__main__":
    main()
