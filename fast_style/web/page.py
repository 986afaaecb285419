"""Writing the page's folder, and serving it with the headers that threads in a browser need."""

import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fast_style.errors import InputError, ModelError, WebError
from fast_style.files import cannot_write, make_parent
from fast_style.model import webgpu_form
from fast_style.model.ground import Ground
from fast_style.model.passes import LEARNED_PASSES
from fast_style.model.passes_graph import ground_form, mixing_form, restoring_form
from fast_style.model.table import mixture_file, paintings_in, without_defaults
from fast_style.stylize.stylizer import Stylizer

# The page is tested with this version of onnxruntime-web, and only with it.
RUNTIME_VERSION = "1.30.0"
# One script and its module and binary with WebGPU, and the smaller three without it; a browser loads one set.
RUNTIME_FILES = (
    "ort.webgpu.min.mjs",
    "ort-wasm-simd-threaded.asyncify.mjs",
    "ort-wasm-simd-threaded.asyncify.wasm",
    "ort.wasm.min.mjs",
    "ort-wasm-simd-threaded.mjs",
    "ort-wasm-simd-threaded.wasm",
)
_NPM_SECONDS = 600


def write_page(
    styles: Sequence[str | Path], out: str | Path, *, runtime: str | Path | None = None, force: bool = False
) -> Path:
    """Write a static folder with the page, the styles and the browser's runtime, whole or not at all; return it.

    Args:
        styles: Names of shipped styles, ONNX files with float input and output, or mixtures, as for
            :class:`Stylizer`. A mixture is written as a style of its own.
        out: The folder.
        runtime: Folder of an unpacked onnxruntime-web (or its ``dist``); None fetches it with npm.
        force: Replace a page that exists. A folder that is not a page of ours is never replaced.

    Raises:
        InputError: No style, two of one name, styles that cannot be mixed, or the folder exists or is the current one.
        StyleNotFoundError: There is no such style.
        ModelError: A file is not a style with float input and output and any size.
        WebError: The runtime's files cannot be had.
        FileError: The folder cannot be written.
    """
    out = Path(out)
    if not styles:
        raise InputError("no style for the page", hint="Give names of shipped styles, or ONNX files.")
    if out.resolve() == Path.cwd():
        raise InputError(f"{out} is the current folder, which cannot be replaced", hint="Give another folder with -o.")
    opened = [Stylizer(style, threads=1) for style in styles]
    for stylizer in opened:
        if not stylizer.network.contract.is_plain:
            raise ModelError(
                f"{stylizer.style.path} is not a float graph for pictures of any size, which the page needs",
                hint="Export it without --io uint8 and --size.",
            )
    names = [_name(stylizer) for stylizer in opened]
    if len(set(names)) < len(names):
        hint = "Rename a file, or write a page for each."
        raise InputError(f"two styles have one name: {', '.join(sorted(names))}", hint=hint)
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        if not _is_page(out):
            raise InputError(f"{out} exists and is not a page of fast-style", hint="Give another folder with -o.")
        if not force:
            raise InputError(f"{out} exists", hint="Give --force to replace the page, or another -o.")
    make_parent(out)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as temporary:
            page, previous = Path(temporary, "page"), Path(temporary, "previous")
            page.mkdir()
            for file in (Path(__file__).parent / "static").iterdir():
                shutil.copyfile(file, page / file.name)
            _place_runtime(page / "runtime", runtime, Path(temporary))
            _place_styles(page, opened)
            try:
                if out.exists():
                    out.rename(previous)
                page.rename(out)
            finally:
                if previous.exists() and not out.exists():
                    previous.rename(out)
    except OSError as error:
        raise cannot_write(out, error) from error
    return out


def _place_styles(page: Path, styles: Sequence[Stylizer]) -> None:
    """Write the styles, what paints between their passes, and the list of them."""
    (page / "styles").mkdir()
    for stylizer in styles:
        network, content = stylizer.network, stylizer.network.content
        if network.weights:
            content = mixture_file(content, network.weights)
        elif network.takes_styles:  # the browser's runtime takes no inputs with defaults
            content = without_defaults(content)
        (page / "styles" / f"{_name(stylizer)}.onnx").write_bytes(webgpu_form(content))
    for ground in {stylizer.network.ground for stylizer in styles if stylizer.network.coarsest}:
        for passes in range(2, LEARNED_PASSES + 1) if ground.forms != "none" else ():
            (page / f"{_ground_name(ground)}-{passes}.onnx").write_bytes(ground_form(ground, passes))
    (page / "mixing.onnx").write_bytes(mixing_form())
    (page / "restoring.onnx").write_bytes(restoring_form())
    listing = [_entry(stylizer) for stylizer in styles]
    (page / "styles.json").write_text(json.dumps(listing, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def serve_page(folder: str | Path, *, host: str = "127.0.0.1", port: int = 8000) -> ThreadingHTTPServer:
    """Make a server for a page; ``serve_forever`` starts it.

    Its headers isolate the page from other origins, for which browsers give WebAssembly its threads.

    Args:
        folder: What :func:`write_page` wrote.
        host: Address to listen on; the default is reached from this machine only.
        port: 0 takes any free one.

    Raises:
        InputError: The folder is not a page.
        WebError: The address cannot be used.
    """
    folder = Path(folder)
    if not _is_page(folder):
        hint = "Write one with 'fast-style web STYLE -o FOLDER'."
        raise InputError(f"{folder} is not a page of fast-style", hint=hint)
    try:
        return ThreadingHTTPServer((host, port), partial(_Handler, directory=str(folder)))
    except (OSError, OverflowError) as error:
        raise WebError(f"cannot listen on {host}:{port}: {error}", hint="Give another --port.") from error


class _Handler(SimpleHTTPRequestHandler):
    extensions_map = {  # noqa: RUF012 # the base class declares it as an instance's
        **SimpleHTTPRequestHandler.extensions_map,
        # Some systems' registries say text/plain, with which browsers refuse modules and streaming WebAssembly.
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
        ".onnx": "application/octet-stream",
    }

    def end_headers(self) -> None:
        """Add what makes the page ``crossOriginIsolated``."""
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the command line says where the page is."""


def _name(stylizer: Stylizer) -> str:
    """What a style is called on the page: a mixture by all of its styles."""
    return "+".join(stylizer.network.weights) or stylizer.style.name


def _entry(stylizer: Stylizer) -> dict[str, Any]:
    name, network = _name(stylizer), stylizer.network
    known = paintings_in(network.metadata) if network.weights else stylizer.style.paintings
    paintings = [painting for style, painting in known.items() if not network.weights or style in network.weights]
    painting = paintings[0] if len(paintings) == 1 else {}
    return {
        "name": name,
        "file": quote(f"styles/{name}.onnx"),
        "title": str(painting.get("title") or name.replace("-", " ").replace("+", " + ")),
        "artist": str(painting.get("artist", "")),
        "styles": [name] if network.weights else list(network.styles),
        "strength": network.draft_strength,
        "smallest": network.contract.smallest,
        "coarsest": network.coarsest,
        "ground": _ground_name(network.ground),
    }


def _ground_name(ground: Ground) -> str:
    """What the graphs that lay a ground are called: panes of other colors are other graphs."""
    colors = "".join(ground.palette)
    return ground.forms + (f"-{hashlib.sha256(colors.encode()).hexdigest()[:8]}" if colors else "")


def _is_page(folder: Path) -> bool:
    return all((folder / name).is_file() for name in ("index.html", "worker.js", "styles.json"))


def _place_runtime(target: Path, runtime: str | Path | None, temporary: Path) -> None:
    source = _fetch_runtime(temporary) if runtime is None else Path(runtime)
    version = _package_version(source)
    if version not in {None, RUNTIME_VERSION}:
        raise WebError(
            f"{source} holds onnxruntime-web {version}; the page is made for {RUNTIME_VERSION}",
            hint=f"npm install onnxruntime-web@{RUNTIME_VERSION}",
        )
    dist = source / "dist" if (source / "dist").is_dir() else source
    missing = [name for name in RUNTIME_FILES if not (dist / name).is_file()]
    if missing:
        raise WebError(
            f"{source} lacks {', '.join(missing)} of onnxruntime-web {RUNTIME_VERSION}",
            hint="Give the folder node_modules/onnxruntime-web that npm installed.",
        )
    target.mkdir()
    for name in RUNTIME_FILES:
        shutil.copyfile(dist / name, target / name)


def _package_version(folder: Path) -> str | None:
    for place in (folder, folder.parent):
        try:
            package = json.loads((place / "package.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(package, dict) and package.get("name") == "onnxruntime-web":
            return str(package.get("version"))
    return None


def _fetch_runtime(temporary: Path) -> Path:
    """Let npm download the package, whose checksum it verifies, and unpack it; runs no script."""
    package = f"onnxruntime-web@{RUNTIME_VERSION}"
    remedy = "Get the package another way and give its folder with --runtime FOLDER."
    npm = shutil.which("npm")
    if npm is None:
        raise WebError(f"npm is not installed, and {package} comes from it", hint=f"Install Node.js. Or: {remedy}")
    try:
        command = [npm, "pack", package, "--ignore-scripts", "--loglevel=error"]
        done = subprocess.run(command, cwd=temporary, capture_output=True, text=True, timeout=_NPM_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise WebError(f"npm did not fetch {package} within {_NPM_SECONDS} s", hint=remedy) from error
    archives = list(temporary.glob("*.tgz"))
    if done.returncode != 0 or len(archives) != 1:
        reason = (done.stderr or done.stdout).strip().splitlines()
        raise WebError(f"npm cannot fetch {package}: {reason[-1] if reason else 'no archive came'}", hint=remedy)
    try:
        with tarfile.open(archives[0]) as archive:
            # One by one, by names that are known: safe, and Python 3.11.2 has no filter for what an archive names.
            for name in ("package.json", *(f"dist/{file}" for file in RUNTIME_FILES)):
                content = archive.extractfile(f"package/{name}")
                target = temporary / "package" / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(b"" if content is None else content.read())
    except (tarfile.TarError, EOFError, KeyError) as error:
        raise WebError(f"what npm fetched for {package} is damaged: {error}", hint=remedy) from error
    return temporary / "package"
