"""What may import what, what the running side loads, and the public surface."""

import ast
import graphlib
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fast_style

ROOT = Path(fast_style.__file__).parent
# A package imports only from those before it, or from itself.
LAYERS = (
    "errors",
    "extras",
    "files",
    "pipeline",
    "images",
    "sheet",
    "model",
    "styles",
    "stylize",
    "photos",
    "films",
    "live",
    "device",
    "grain",
    "painting",
    "losses",
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
TRAINING_LIBRARIES = {"torch", "torchvision", "pytorch_lightning", "onnx_ir", "onnxscript"}
RUNNING_SIDE = {*LAYERS[: LAYERS.index("device")], "web", "studio"}


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


def package_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def modules() -> list[Path]:
    return [path for path in sorted(ROOT.rglob("*.py")) if package_of(path) not in {"__init__", "__main__"}]


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_package_imports_only_from_layers_below(path: Path) -> None:
    layer = LAYERS.index(package_of(path))
    for name in imports_of(path):
        parts = name.split(".")
        if parts[0] == "fast_style" and len(parts) > 1:
            assert LAYERS.index(parts[1]) <= layer, f"{path} imports {name} from above"


@pytest.mark.parametrize("path", [path for path in modules() if package_of(path) in RUNNING_SIDE], ids=str)
def test_the_running_side_names_no_training_library(path: Path) -> None:
    assert {name.split(".")[0] for name in imports_of(path)} & TRAINING_LIBRARIES == set()


def module_of(path: Path) -> str:
    return ".".join(("fast_style", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")


def modules_imported_by(path: Path, known: set[str]) -> set[str]:
    """The modules of fast_style that a file imports, at its top, in functions, or for types only."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= inner & known or {node.module or ""}
    return names & known


def test_no_modules_import_each_other_in_a_circle() -> None:
    paths = {module_of(path): path for path in ROOT.rglob("*.py")}
    # The package's own face imports the Stylizer when it is asked for.
    edges = {name: modules_imported_by(path, set(paths) - {"fast_style"}) for name, path in paths.items()}
    assert list(graphlib.TopologicalSorter(edges).static_order())


def loaded_by(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stderr.splitlines()[-1].split())


def test_importing_the_package_loads_neither_torch_nor_onnx_runtime() -> None:
    assert loaded_by("import fast_style") & (TRAINING_LIBRARIES | {"onnx", "onnxruntime"}) == set()


def test_help_loads_no_torch() -> None:
    assert loaded_by("from fast_style.cli import main; main(['--help'])") & (TRAINING_LIBRARIES | {"onnx"}) == set()


def test_stylizing_loads_no_torch(model_file: Path, photo_folder: Path, tmp_path: Path) -> None:
    photo = photo_folder / "astronaut.png"
    arguments = ["stylize", str(photo), "--style", str(model_file), "-o", str(tmp_path / "out.png")]
    loaded = loaded_by(f"from fast_style.cli import main; assert main({arguments!r}) == 0")
    assert loaded & (TRAINING_LIBRARIES | {"onnx"}) == set()
    assert "onnxruntime" in loaded
    assert (tmp_path / "out.png").is_file()


PUBLIC = ["", *(package for package in LAYERS if (ROOT / package).is_dir())]


@pytest.mark.parametrize("package", PUBLIC)
def test_all_lists_exactly_what_a_package_offers(package: str) -> None:
    module = importlib.import_module(f"fast_style.{package}" if package else "fast_style")
    here = f"fast_style.{package}" if package else "fast_style"
    offered = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and getattr(value, "__module__", "").startswith(here)
        and not isinstance(value, type(ast))
    }
    listed = set(module.__all__) - {"__version__"}
    if package:  # the package itself re-exports from packages, which all begin with its name
        assert offered <= listed
    assert all(hasattr(module, name) for name in listed)
    assert module.__all__ == sorted(module.__all__, key=lambda name: (not name.isupper(), not name[0].isupper(), name))


def test_the_docs_and_the_examples_use_public_names_only() -> None:
    pages = [ROOT.parent / "README.md", *(ROOT.parent / "docs").glob("*.md"), *(ROOT.parent / "examples").rglob("*.*")]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages if page.suffix in {".md", ".py"})
    used = re.findall(r"^ *from (fast_style[\w.]*) import ([\w, ]+)", text, re.MULTILINE)
    assert used
    promised = {".".join(filter(None, ("fast_style", package))) for package in PUBLIC} - {"fast_style.cli"}
    assert {module for module, _ in used} <= promised | {"fast_style.errors"}
    for module, names in used:
        assert set(names.split(", ")) <= set(importlib.import_module(module).__all__), module


def test_every_public_name_has_a_docstring() -> None:
    for package in PUBLIC:
        module = importlib.import_module(f"fast_style.{package}" if package else "fast_style")
        for name in module.__all__:
            value = getattr(module, name)
            if isinstance(value, type) or hasattr(value, "__code__"):
                assert value.__doc__, f"{package}.{name}"
