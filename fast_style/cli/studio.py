"""``fast-style studio``."""

import threading
import webbrowser
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from fast_style.cli.app import Port
from fast_style.errors import InputError


def studio(
    *,
    folder: Path | None = None,
    photos: Annotated[list[Path] | None, Parameter(consume_multiple=True)] = None,
    port: Port = 8765,
    runtime: Path | None = None,
    config: Path | None = None,
    open: bool = True,
) -> None:
    """Open a page on this machine in which styles are made, tried and kept, until Ctrl-C.

    A training goes on when this ends; start the studio again to see it.

    Args:
        folder: Where styles are kept; by default fast-style/studio in your data directory.
        photos: Folders in which the page may choose photos; by default your home folder.
        port: Port to listen on, on this machine only; 0 takes any free one.
        runtime: A folder with onnxruntime-web, for pages of styles; without it, npm fetches the package.
        config: A TOML file with a recipe that all trainings begin with.
        open: Open the page in the browser.
    """
    from fast_style.cli.train import read_toml
    from fast_style.studio import open_studio
    from fast_style.styles.catalog import studio_folder

    for path in photos or []:
        if not path.is_dir():
            raise InputError(f"{path} is not a folder of photos")
    if runtime is not None and not runtime.is_dir():
        raise InputError(f"{runtime} is not a folder; expected one with onnxruntime-web")
    if config is not None:
        read_toml(config)
    folder = folder or studio_folder()
    address, opening, serve = open_studio(folder, photos=photos or [], port=port, runtime=runtime, config=config)
    print(address, flush=True)
    if open:
        # Some browsers keep their caller waiting until they end, and it is the page that they wait for.
        threading.Thread(target=webbrowser.open, args=(opening,), daemon=True).start()
    with suppress(KeyboardInterrupt):
        serve()
