"""``fast-style web``."""

from contextlib import suppress
from pathlib import Path

from fast_style.cli.app import Flag, Out, Port
from fast_style.errors import InputError
from fast_style.web import serve_page, write_page


def web(
    *styles: str,
    out: Out,
    runtime: Path | None = None,
    serve: Flag = False,
    host: str = "127.0.0.1",
    port: Port = 8000,
    force: Flag = False,
) -> None:
    """Write a page that stylizes photos and the camera in the browser; nothing is uploaded.

    The folder works on any static web server, offline too. Its runtime is the npm package onnxruntime-web.

    Args:
        styles: Names of shipped styles, ONNX files, or mixtures such as starry-night:0.7,udnie:0.3. Without any,
            --serve serves the page that OUT holds.
        out: The folder to write.
        runtime: A folder with onnxruntime-web; without it, npm fetches the package.
        serve: Then serve the folder, with the headers that let the browser use threads, until Ctrl-C.
        host: Address to listen on; 0.0.0.0 admits other devices, whose browsers allow the camera only over https.
        port: Port to listen on; 0 takes any free one.
        force: Replace a page that exists.
    """
    if not serve and (host, port) != ("127.0.0.1", 8000):
        raise InputError("--host and --port are for --serve")
    if not styles and serve and (runtime is not None or force):
        raise InputError("--runtime and --force are for writing a page", hint="Name styles, or leave them out.")
    if styles or not serve:
        write_page(styles, out, runtime=runtime, force=force)
        print(out)
    if serve:
        with serve_page(out, host=host, port=port) as server:
            print(f"http://{'localhost' if host == '127.0.0.1' else host}:{server.server_address[1]}/", flush=True)
            with suppress(KeyboardInterrupt):
                server.serve_forever()
