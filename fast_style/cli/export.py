"""``fast-style export``."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from fast_style.errors import InputError
from fast_style.files import check_new, replacing

if TYPE_CHECKING:
    from fast_style.export import Deployment, Form


def export(
    checkpoint: str,
    *,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    precision: Literal["fp32", "fp16", "int8"] = "fp32",
    io: Literal["float", "uint8"] = "float",
    size: str | None = None,
    form: Literal["whole", "measure", "apply"] = "whole",
    target: Literal["onnx", "openvino"] = "onnx",
    photos: Path | None = None,
    painting: Path | None = None,
    force: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Write a checkpoint's network as ONNX and prove it equal; or another form or format of a style.

    Args:
        checkpoint: A .ckpt file that 'fast-style train' wrote; for --form and --target also a style: a file or a
            shipped name.
        out: The file; by default it stands beside the checkpoint, as NAME.onnx, NAME-int8.onnx, …. A form, and what is
            for another target, goes into the working folder.
        precision: fp16 halves the file, int8 quarters it and is faster on a CPU; both are proved against fp32.
        io: float takes and gives (N, 3, H, W) in 0 to 1, uint8 pixels (N, H, W, 3) as a camera has them.
        size: WIDTHxHEIGHT for a graph of that one size, which some runtimes need; without it, any size.
        form: measure gives a picture's statistics, apply takes them, to draw a tile or a frame as part of a whole.
        target: openvino writes NAME.xml and NAME.bin, proved equal to the ONNX file.
        photos: For fp16 and int8: a folder of photos to calibrate on and to judge by.
        painting: For fp16 and int8: the painting of the training, to measure the objective.
        force: Overwrite a file that exists.
    """
    if target == "openvino":
        if (precision, io, size, form) != ("fp32", "float", None, "whole"):
            raise InputError(
                "--target openvino takes no --precision, --io, --size and --form",
                hint="Export such an ONNX file first, and give that.",
            )
        _export_openvino(checkpoint, out, force=force)
        return
    if form != "whole":
        _export_form(checkpoint, form, out, force=force)
        return
    from fast_style.checkpoint import load_checkpoint
    from fast_style.export import deploy, write_card  # imports torch

    path = Path(checkpoint)
    variant = [precision] * (precision != "fp32") + [io] * (io != "float") + ([size] if size else [])
    written = out or path.with_name("-".join([path.stem, *variant]) + ".onnx")
    if written.suffix != ".onnx":
        raise InputError(f"{written} does not end in .onnx")
    check_new(written, force=force, hint="Give --force to overwrite it, or another -o.")
    fixed = None if size is None else _parse_size(size)
    loaded = load_checkpoint(path)
    done = deploy(loaded, written, precision=precision, io=io, size=fixed, photos=photos, painting=painting)
    card = write_card(loaded, written, done.verification, training={}, facts=done.facts(precision, io))
    _report(done, precision)
    print(f"{written}")
    print(f"{card}")


def _export_form(source: str, form: Form, out: Path | None, *, force: bool) -> None:
    from fast_style.checkpoint import load_checkpoint
    from fast_style.export import TOLERANCE, export_checkpoint, write_form
    from fast_style.styles.catalog import find_style

    target = out or Path(f"{Path(source).stem}-{form}.onnx")
    if target.suffix != ".onnx":
        raise InputError(f"{target} does not end in .onnx")
    check_new(target, force=force, hint="Give --force to overwrite it, or another -o.")
    with replacing(target) as partial:
        if source.endswith(".ckpt"):
            export_checkpoint(load_checkpoint(source), partial)
            style = partial
        else:
            style = find_style(source).path
        difference = write_form(style, form, partial, tolerance=TOLERANCE)
    print(f"{target}  equal to the style within {difference:.1e}, with a picture's own statistics")


def _export_openvino(source: str, out: Path | None, *, force: bool) -> None:
    import openvino  # noqa: F401  # needs the extra "openvino"

    from fast_style.checkpoint import load_checkpoint
    from fast_style.export import export_checkpoint, write_openvino
    from fast_style.styles.catalog import find_style

    target = out or Path(f"{Path(source).stem}.xml")
    if target.suffix != ".xml":
        raise InputError(f"{target} does not end in .xml")
    for path in (target, target.with_suffix(".bin")):
        check_new(path, force=force, hint="Give --force to overwrite it, or another -o.")
    with tempfile.TemporaryDirectory() as temporary:
        if source.endswith(".ckpt"):
            style = Path(temporary) / f"{Path(source).stem}.onnx"
            export_checkpoint(load_checkpoint(source), style)
        else:
            style = find_style(source).path
        verification = write_openvino(style, target)
    print(f"{target}")
    print(f"{target.with_suffix('.bin')}  equal to the ONNX file within {verification.largest:.1e}")


def _parse_size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,5})[x×](\d{1,5})", text)
    if match is None:
        raise InputError(f"size is {text!r}; expected WIDTHxHEIGHT, such as 640x480")
    return int(match[1]), int(match[2])


def _report(done: Deployment, precision: str) -> None:
    for shape, difference in done.verification.differences.items():
        print(f"{shape:>16}  largest difference {difference:.1e}")
    if done.fidelity is not None:
        found = done.fidelity
        print(
            f"{precision} against fp32 on {found.photos} held-out photos: {found.psnr:.1f} dB on the worst, "
            f"mean difference {found.mean:.1e}, largest {found.largest:.1e}, "
            f"objective {found.objective:.3f} → {found.objective_reduced:.3f} ({found.rise:+.2%})"
        )
    if precision == "int8":
        kept = f"; in float: {', '.join(done.kept)}" if done.kept else ""
        print(f"8-bit: {done.work:.0%} of the convolutions' multiplications{kept}")
    if done.largest_level is not None:
        print(f"pixels against the rounded float graph: at most {done.largest_level} level apart")
    if done.milliseconds is not None:
        mine, plain = done.milliseconds
        print(
            f"{done.bytes[0] / 1e6:.2f} MB (fp32 {done.bytes[1] / 1e6:.2f} MB); "
            f"{mine:.1f} ms on this CPU (fp32 {plain:.1f} ms, so {plain / mine:.2f} times as fast)"
        )
