"""Run a style without fast-style: ``python examples/onnx_alone.py STYLE.onnx PHOTO OUT``.

Needs numpy, Pillow and onnxruntime. Other languages do the same; docs/deploy.md has JavaScript and C++.
"""

import sys

import numpy as np
import onnxruntime
from PIL import Image

style, photo, out = sys.argv[1:]
session = onnxruntime.InferenceSession(style)
pixels = np.asarray(Image.open(photo).convert("RGB"), np.float32) / 255
(stylized,) = session.run(["stylized"], {"image": pixels.transpose(2, 0, 1)[None]})
Image.fromarray((stylized[0].transpose(1, 2, 0) * 255).round().astype(np.uint8)).save(out)
