"""The house: what may import what, what the runtime side loads, and the public surface."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import fast_style

ROOT = Path(fast_style.__file__).parent
# From the ground up: a room imports only from rooms before it, or from itself.
FLOORS = (
    "errors",
    "extras",
    "files",
    "images",
    "sheet",
    "hub",
    "styles",
    "graph",
    "adapters",
    "runtime",
    "device",
    "painting",
    "perceptual",
    "networks",
    "recipe",
    "checkpoint",
    "export",
    "training",
    "optimize",
    "evaluate",
    "inspect",
    "web",
    "studio",
    "cli",
)
STUDIO = {"torch", "torchvision", "pytorch_lightning", "onnx", "onnxscript"}
RUNTIME_ROOMS = {"errors", "extras", "files", "images", "sheet", "styles", "graph", "adapters", "runtime"}
RUNTIME_ROOMS |= {"hub", "web", "studio"}


def imports_of(path: Path) -> set[str]:
    """Absolute names of the modules a file imports, function bodies included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
    return found


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def modules() -> list[Path]:
    return [path for path in sorted(ROOT.rglob("*.py")) if room_of(path) not in {"__init__", "__main__"}]


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_room_imports_only_from_the_floors_below(path: Path) -> None:
    floor = FLOORS.index(room_of(path))
    for name in imports_of(path):
        parts = name.split(".")
        if parts[0] == "fast_style" and len(parts) > 1:
            assert FLOORS.index(parts[1]) <= floor, f"{path} imports {name} from above"


@pytest.mark.parametrize("path", [path for path in modules() if room_of(path) in RUNTIME_ROOMS], ids=str)
def test_the_runtime_side_names_no_training_library(path: Path) -> None:
    assert {name.split(".")[0] for name in imports_of(path)} & STUDIO == set()


def loaded_by(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stderr.splitlines()[-1].split())


def test_importing_the_package_loads_neither_torch_nor_onnx_runtime() -> None:
    assert loaded_by("import fast_style") & (STUDIO | {"onnxruntime"}) == set()


def test_help_loads_no_torch() -> None:
    assert loaded_by("from fast_style.cli import main; main(['--help'])") & STUDIO == set()


def test_stylizing_loads_no_torch(model_file: Path, photo_folder: Path, tmp_path: Path) -> None:
    photo = photo_folder / "astronaut.png"
    arguments = ["stylize", str(photo), "--style", str(model_file), "-o", str(tmp_path / "out.png")]
    loaded = loaded_by(f"from fast_style.cli import main; assert main({arguments!r}) == 0")
    assert loaded & STUDIO == set()
    assert "onnxruntime" in loaded
    assert (tmp_path / "out.png").is_file()


PUBLIC = ["", *(room for room in FLOORS if (ROOT / room).is_dir())]


@pytest.mark.parametrize("room", PUBLIC)
def test_all_lists_exactly_what_a_room_offers(room: str) -> None:
    module = importlib.import_module(f"fast_style.{room}" if room else "fast_style")
    here = f"fast_style.{room}" if room else "fast_style"
    offered = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and getattr(value, "__module__", "").startswith(here)
        and not isinstance(value, type(ast))
    }
    listed = set(module.__all__) - {"__version__"}
    if room:  # the package itself re-exports from rooms, which all begin with its name
        assert offered <= listed
    assert all(hasattr(module, name) for name in listed)
    assert module.__all__ == sorted(module.__all__, key=lambda name: (not name.isupper(), not name[0].isupper(), name))


def test_every_public_name_has_a_docstring() -> None:
    for room in PUBLIC:
        module = importlib.import_module(f"fast_style.{room}" if room else "fast_style")
        for name in module.__all__:
            value = getattr(module, name)
            if isinstance(value, type) or hasattr(value, "__code__"):
                assert value.__doc__, f"{room}.{name}"
