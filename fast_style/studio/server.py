"""The studio's server, on the loopback address alone."""

import secrets
import socket
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import uvicorn

from fast_style.errors import InputError, StudioError
from fast_style.studio.app import make_app
from fast_style.studio.library import Library
from fast_style.studio.runs import PROGRAM, Trainings

HOST = "127.0.0.1"
PORT = 8765


def listen(port: int) -> socket.socket:
    """Bind a socket to the loopback address, or raise StudioError if the port is taken."""
    try:
        return socket.create_server((HOST, port))
    except (OSError, OverflowError) as error:
        raise StudioError(
            f"cannot listen on {HOST}:{port}: {error}",
            hint="The studio may be running already: look for its page. Or give another --port.",
        ) from error


def open_studio(
    folder: Path,
    *,
    photos: Sequence[Path] = (),
    port: int = PORT,
    runtime: Path | None = None,
    config: Path | None = None,
    program: Sequence[str] = PROGRAM,
) -> tuple[str, str, Callable[[], None]]:
    """Make a studio's server.

    It listens already: what comes before it serves waits.

    Args:
        folder: Where styles and uploads are kept.
        photos: Folders in which photos may be chosen; none stands for the user's own folder.
        port: 0 takes any free one.
        runtime: Folder of onnxruntime-web, for pages of styles; None lets npm fetch it.
        config: A TOML file with a recipe for all trainings.
        program: What runs a verb of fast-style.

    Returns:
        The page's address with the token; the same with a ticket that lets in once, for a browser's command line, which
        all users of the machine can read; and what serves the page until Ctrl-C.

    Raises:
        FileError: The folder cannot be written.
        InputError: There are no folders of photos, and the user has no home.
        StudioError: The port is taken.
    """
    try:
        roots = photos or [Path.home()]
    except RuntimeError as error:
        raise InputError(str(error), hint="Set HOME, or give --photos FOLDER.") from error
    library = Library(folder)
    listening = listen(port)
    port = listening.getsockname()[1]
    trainings = Trainings(library, program=program, config=None if config is None else config.resolve())
    ticket = secrets.token_urlsafe(32)
    app = make_app(library, trainings, port=port, roots=roots, runtime=runtime, ticket=ticket)
    options = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_level="error",  # requests that are not HTTP are no concern of the user's
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    serve = partial(uvicorn.Server(options).run, sockets=[listening])
    address = f"http://{HOST}:{port}/?token="
    return address + library.token(), address + ticket, serve
