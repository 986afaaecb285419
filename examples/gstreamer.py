"""Stylize in GStreamer: ``python examples/gstreamer.py SOURCE SINK [STYLE]``, both as for gst-launch-1.0.

Frames leave one pipeline through an appsink, are stylized, and enter another one through an appsrc, with their times::

    python examples/gstreamer.py "v4l2src" "autovideosink"
    python examples/gstreamer.py "filesrc location=clip.mp4 ! decodebin" "x264enc ! mp4mux ! filesink location=out.mp4"

Needs fast-style and GStreamer's Python: on Debian ``apt install python3-gi gir1.2-gstreamer-1.0
gstreamer1.0-plugins-base gstreamer1.0-plugins-good``, ``gstreamer1.0-plugins-ugly`` too for x264enc, and a virtual
environment with ``--system-site-packages``.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import gi
import numpy as np

from fast_style import Stylizer
from fast_style.images import channels
from fast_style.stylize import Scene

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402  # its version must be chosen first

# Four bytes a pixel: rows of three would be padded to multiples of four.
_CAPS = "video/x-raw,format=RGBx"
# What may wait for a sink that is slower than the network.
_WAITING_BYTES = 2**25


def main(source: str, sink: str, style: str = "starry-night") -> int:
    """Stylize all frames of a source.

    Returns:
        How many there were.

    Raises:
        RuntimeError: A pipeline failed; the message is GStreamer's.
    """
    Gst.init(None)
    scene, frames = Scene(Stylizer(style).network), 0
    reader = Gst.parse_launch(f"{source} ! videoconvert ! {_CAPS} ! appsink name=app sync=false max-buffers=2")
    writer = Gst.parse_launch(f"appsrc name=app format=time ! videoconvert ! {sink}")
    taken, given = reader.get_by_name("app"), writer.get_by_name("app")
    try:
        for pipeline in (reader, writer):
            pipeline.set_state(Gst.State.PLAYING)
        while not taken.get_property("eos"):
            _check(reader, writer)
            if given.get_property("current-level-bytes") > _WAITING_BYTES:
                time.sleep(0.01)
            elif (sample := taken.emit("try-pull-sample", Gst.SECOND // 10)) is not None:
                given.set_property("caps", sample.get_caps())
                given.emit("push-buffer", _stylize(sample, scene))
                frames += 1
        given.emit("end-of-stream")
        while not _check(writer):
            time.sleep(0.01)
    finally:
        for pipeline in (reader, writer):
            pipeline.set_state(Gst.State.NULL)
        scene.close()
    return frames


def _stylize(sample: Any, scene: Scene) -> Any:
    """Make the stylized buffer of a sample, with its times."""
    shape, buffer = sample.get_caps().get_structure(0), sample.get_buffer()
    content = buffer.extract_dup(0, buffer.get_size())
    frame = np.frombuffer(content, np.uint8).reshape(shape.get_value("height"), shape.get_value("width"), 4)
    photo = channels(np.ascontiguousarray(frame[..., :3]))
    painted = np.full_like(frame, 255)
    scene.style(photo).planes(photo, channels(painted[..., :3]))
    stylized = Gst.Buffer.new_wrapped(painted.tobytes())
    stylized.pts, stylized.duration = buffer.pts, buffer.duration
    return stylized


def _check(*pipelines: Any) -> bool:
    """Raise what went wrong in pipelines; return whether one of them has come to its end."""
    kinds = Gst.MessageType.ERROR | Gst.MessageType.EOS
    found = [message for pipeline in pipelines if (message := pipeline.get_bus().pop_filtered(kinds)) is not None]
    for message in found:
        if message.type == Gst.MessageType.ERROR:
            raise RuntimeError(message.parse_error()[0].message)
    return bool(found)


if __name__ == "__main__":
    if len(sys.argv) not in {3, 4}:
        sys.exit("usage: python examples/gstreamer.py SOURCE SINK [STYLE]")
    print(main(*sys.argv[1:4]), "frames")
