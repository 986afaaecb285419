"""Paint a photo without fast-style: ``python examples/onnx_alone.py STYLE.onnx PHOTO OUT``.

Needs numpy, Pillow and onnxruntime. The style takes pixels, gives pixels, and paints in passes by itself::

    fast-style export starry-night --io uint8 --passes 3
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

# Three passes are meant for this size: more px would take more time and memory, and get finer strokes.
LONG_SIDE = 640


def paint(session: onnxruntime.InferenceSession, photo: Image.Image) -> Image.Image:
    """Paint a photo.

    Args:
        session: Of an ONNX file that was exported with ``--io uint8``. Several threads may share it.
        photo: Any mode and size; it is shrunk to LONG_SIDE and turned as its EXIF data say.

    Returns:
        The picture, RGB.

    Raises:
        ValueError: The photo is too small.
    """
    photo = ImageOps.exif_transpose(photo).convert("RGB")
    photo.thumbnail((LONG_SIDE, LONG_SIDE))
    passes = int(session.get_modelmeta().custom_metadata_map.get("passes", 1))
    if min(photo.size) < 16 * 2 ** (passes - 1):
        raise ValueError(f"the photo is too small: {photo.width}×{photo.height} px for {passes} passes")
    (pictures,) = session.run(["stylized"], {"image": np.asarray(photo)[None]})
    return Image.fromarray(pictures[0])


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: python examples/onnx_alone.py STYLE.onnx PHOTO OUT")
    style, source, out = sys.argv[1:]
    if not Path(style).is_file():
        sys.exit(f"error: there is no file {style}")
    try:
        with Image.open(source) as opened:
            paint(onnxruntime.InferenceSession(style), opened).save(out)
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
