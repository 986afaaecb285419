"""Plays ``fast-style train`` and ``export`` without torch: MOMENT says how fast it steps, MODEL which style it leaves.

An estimate is 20 s and half a second for each step, and leaves a line in the file that ESTIMATES names.

A file ``full-disk`` among the photos makes the run fail as on a full disk, ``broken`` as by a mistake of our own.
"""

import os
import shutil
import signal
import sys
import time
from itertools import pairwise
from pathlib import Path
from types import FrameType

from PIL import Image

MOMENT = float(os.environ.get("MOMENT", "0.02"))  # s, for ten steps


def publish(checkpoint: Path) -> None:
    model = Path(os.environ["MODEL"])
    shutil.copyfile(model, checkpoint.with_suffix(".onnx"))
    checkpoint.with_suffix(".json").write_text('{"card_format": 1, "training": {"skipped": 2}}')


def train(photos: Path, out: Path, name: str, steps: int, resume: Path | None) -> int:
    stopped = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal stopped
        stopped = True

    signal.signal(signal.SIGINT, stop)
    if (photos / "full-disk").exists():
        sys.stderr.write(f"error: cannot write {out}: the disk is full\nhint: Make room.\n")
        return 2
    if (photos / "broken").exists():
        raise ZeroDivisionError
    step = 0
    if resume is not None:
        step, steps = map(int, resume.read_text().split())
    (out / "previews").mkdir(exist_ok=True)
    checkpoint, figures = out / f"{name}.ckpt", out / f"{name}.csv"
    if not step:
        figures.write_text("step,total,content,style,tv,learning_rate\n")
    while step < steps and not stopped:
        step = min(step + 10, steps)
        with figures.open("a") as file:
            file.write(f"{step},{100 / step},{50 / step},{40 / step},{10 / step},0.001\n")
        Image.new("RGB", (64, 32), (step % 256, 90, 150)).save(out / ".partial.png")
        (out / ".partial.png").replace(out / "previews" / f"step-{step:06d}.png")
        (out / ".partial.ckpt").write_text(f"{step} {steps}")  # a kill leaves the old one or the new, as of a real one
        (out / ".partial.ckpt").replace(checkpoint)
        time.sleep(MOMENT)
    if step < steps:
        return 130
    publish(checkpoint)
    return 0


if __name__ == "__main__":
    verb, *arguments = sys.argv[1:]
    options = dict(pairwise(arguments))  # each word with the one after it
    if verb == "export":
        publish(Path(arguments[0]))
    elif "--estimate" in arguments:
        if log := os.environ.get("ESTIMATES"):
            with Path(log).open("a") as file:
                file.write(" ".join(arguments) + "\n")
        sys.stdout.write("about 2 minutes: 20.0 s before and after the steps, 0.500 s for each of 250\n")
    else:
        resume = Path(options["--resume"]) if "--resume" in options else None
        out, steps = Path(options["-o"]), int(options.get("--steps", 0))
        sys.exit(train(Path(arguments[1]), out, options["--name"], steps, resume))
