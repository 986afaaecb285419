"""``fast-style webcam``."""

import contextlib
import json as json_module
import os
import re
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from cyclopts import Group, Parameter

from fast_style.cli.app import DONE, INTERRUPTED, CtrlC, Flag
from fast_style.cli.options import Engine, JsonFlag, Look, StyleNames
from fast_style.errors import CameraError, InputError, MissingExtraError
from fast_style.extras import install_command, windows_command
from fast_style.files import check_new, make_parent
from fast_style.stylize.checks import check_blend, check_passes, check_size


@Parameter(name="*")
@dataclass(frozen=True)
class LiveLook(Look):
    """What is shown at first; keys change it.

    Args:
        size: Shrink the long side to this many px.
        passes: Number of passes, from coarse to fine, 1 to 8; by default as many as keep up with the camera.
        side_by_side: Show the camera's picture beside the result.
        mirror: Mirror horizontally (default: on for cameras, off for files).
    """

    size: int | None = 640
    passes: int | None = None
    side_by_side: Flag = False
    mirror: bool | None = None

    def __post_init__(self) -> None:
        """Raise InputError for a value out of range."""
        check_blend(self.blend)
        check_passes(self.passes)
        check_size(self.size)


@Parameter(name="*", group=Group("Recording", sort_key=1))
@dataclass(frozen=True)
class Output:
    """Where the result goes beside the window.

    Args:
        record: Record to this video.
        stills: Folder for stills, which the key s saves.
        headless: Open no window; stop with Ctrl-C, or when the file ends.
        seconds: Stop after this long.
        force: Overwrite the recording if it exists.
    """

    record: Path | None = None
    stills: Path = Path()
    headless: Flag = False
    seconds: float | None = None
    force: Flag = False

    def check(self, source: str) -> None:
        """Raise InputError for what cannot be, before any window opens; make the folder of the recording."""
        if self.seconds is not None and not self.seconds > 0:
            raise InputError(f"seconds is {self.seconds}; expected more than 0")
        if not self.stills.is_dir():
            raise InputError(f"{self.stills} is not a folder; expected one for stills")
        if self.record is not None:
            from fast_style.films.writer import check_video_name  # needs the extra "video"

            check_new(self.record, force=self.force, inputs=[Path(source)])
            check_video_name(self.record)
        if not self.headless:
            check_display()
        if self.record is not None:
            make_parent(self.record)


def webcam(
    *,
    style: StyleNames,
    source: str = "0",
    look: LiveLook = LiveLook(),
    output: Output = Output(),
    engine: Engine = Engine(),
    json: JsonFlag = False,
) -> int:
    """Stylize what a camera sees, live.

    Press h in the window for the keys.

    Args:
        style: One or more shipped styles, ONNX files or mixtures. The keys n and p switch between them, and between
            the styles of a file of several.
        source: A camera's number, a URL, or a video file, played at its own pace.
        look: What is shown at first.
        output: Where the result goes beside the window.
        engine: What the network runs on.
        json: Print figures as JSON at the end.
    """
    if not style:
        raise InputError("no style was given", hint="See 'fast-style webcam --help'.")
    # OpenCV comes before PyAV, whose own X libraries would hang its window. Without one, the extra "video" is enough.
    try:
        import cv2
    except ModuleNotFoundError as error:
        if output.headless:
            raise
        raise MissingExtraError(f"{error.name} is not installed: {install_command('webcam')}") from error
    output.check(source)
    if not (output.headless or cv2.currentUIFramework()):
        raise MissingExtraError(f"the OpenCV that is installed opens no windows: {windows_command()}")
    from fast_style.live.capture import Capture
    from fast_style.live.session import Live
    from fast_style.live.window import Controls, Window

    opened = [engine.style(name, look).open(engine.threads) for name in style]
    stylizers = [each for stylizer in opened for each in stylizer.each()]
    status = DONE
    with contextlib.ExitStack() as stack:
        for number in (signal.SIGINT, signal.SIGTERM):
            stack.callback(signal.signal, number, signal.signal(number, _stop))
        capture = stack.enter_context(contextlib.closing(Capture(source)))
        window = None if output.headless else stack.enter_context(contextlib.closing(Window()))
        controls = Controls(
            blend=look.blend,
            strength=look.strength,
            ground=look.ground,
            side_by_side=look.side_by_side,
            mirror=not capture.is_file if look.mirror is None else look.mirror,
            keep_colors=look.keep_colors,
            recording=output.record is not None,
        )
        live = Live(
            capture=capture,
            stylizers=stylizers,
            display=window,
            controls=controls,
            say=lambda text: print(text, file=sys.stderr),
            size=look.size,
            record=output.record,
            stills=output.stills,
            seconds=output.seconds,
            passes=look.passes,
        )
        try:
            live.run()
        except KeyboardInterrupt:
            status = DONE if output.headless else INTERRUPTED
    if json:
        print(json_module.dumps({"frames": live.figures.frames, **live.figures.summary()}))
    if not live.figures.frames:
        hint = "Another program may be using it." if source.isdecimal() else None
        raise CameraError(f"{capture.shown} gave no frame", hint=hint)
    return status


def check_display() -> None:
    """Raise CameraError if there is no display: without this, the window library ends the process."""
    if not sys.platform.startswith("linux") or os.environ.get("WAYLAND_DISPLAY"):
        return
    display = os.environ.get("DISPLAY", "")
    hint = "Give --headless with --record, or run it on a desktop."
    match = re.fullmatch(r"(?:(?P<host>.*?)/?(?:unix)?)?:(?P<number>\d+)(?:\.\d+)?", display)
    if match is None:
        raise CameraError("there is no display to open a window on", hint=hint)
    try:
        if match["host"]:
            socket.create_connection((match["host"], 6000 + int(match["number"])), timeout=3).close()
            return
        path = f"/tmp/.X11-unix/X{match['number']}"
        for address in (f"\0{path}", path):  # Linux's abstract name first, as X libraries do
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
                connection.connect(address)
                return
        raise OSError("no X server listens there")
    except OSError as error:
        raise CameraError(f"the display {display!r} cannot be opened: {error}", hint=hint) from error


def _stop(*details: object) -> None:
    """Raise KeyboardInterrupt at the first Ctrl-C or SIGTERM; others must not end what finishes a recording."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    CtrlC.came = CtrlC.told = True  # nor may they when the handlers from before are back
    raise KeyboardInterrupt
