"""Styles on the Hugging Face hub: a repository holds a style's ONNX file, its card, and a page that presents it."""

from __future__ import annotations

import contextlib
import hashlib
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fast_style.errors import HubError, InputError, ModelError
from fast_style.files import check_new, replacing
from fast_style.graph import MAX_MODEL_BYTES, first_line, open_graph, read_checked
from fast_style.styles import Style, find_style, read_card

# Cards have 5 to 50 kB.
MAX_CARD_BYTES = 2**20
# What files of a repository may be called to be taken: neither a path nor anything that a terminal would obey.
_MODEL_NAME = re.compile(r"\w[\w.+-]{0,99}\.onnx", re.ASCII)
_LOG_IN = "Log in with 'hf auth login', or set HF_TOKEN to a token that may write."


@dataclass(frozen=True)
class Pushed:
    """What was uploaded.

    Attributes:
        address: Of the repository.
        files: Their names there.
    """

    address: str
    files: tuple[str, ...]


def push_style(style: str | Path, repo: str, *, private: bool = False, force: bool = False) -> Pushed:
    """Upload a style's ONNX file and its card to the Hugging Face hub, with a README.md made of the card.

    Args:
        style: A shipped name, or the path of an ONNX file that fast-style exported.
        repo: ``OWNER/NAME`` of the repository, which is made if it does not exist.
        private: Make it so that only its owner sees it; a repository that exists stays as it is.
        force: Replace a style of that name, and the README.md, that are there. Without it a README.md is kept.

    Raises:
        StyleNotFoundError: There is no such style.
        ModelError: The file is damaged, or fast-style did not export it.
        InputError: ``repo`` is not such a name, or holds a style of that name.
        HubError: The hub cannot be reached, or refuses.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    found = find_style(style)
    files, metadata = _read_style(found.path)
    with _explaining(repo):
        api = HfApi(library_name="fast-style")
        made = api.create_repo(repo, private=private, exist_ok=True)
        there = {file.rfilename for file in api.model_info(repo).siblings or []}
        if found.path.name in there and not force:
            raise InputError(f"{repo} has a {found.path.name}", hint="Give --force to replace it.")
        if "README.md" not in there or force:
            files["README.md"] = describe_style(found, metadata, repo).encode()
        operations = [CommitOperationAdd(name, data) for name, data in files.items()]
        try:
            api.create_commit(repo, operations, commit_message=f"Add the style {found.path.stem}")
        except RuntimeError as error:  # what the library makes of an upload that broke off
            raise HubError(f"the upload to {repo} failed: {first_line(error)}", hint="Push again.") from error
    return Pushed(str(made), tuple(files))


def pull_style(
    repo: str,
    *,
    name: str | None = None,
    revision: str | None = None,
    folder: str | Path = ".",
    force: bool = False,
) -> list[Path]:
    """Download a style's ONNX file and its card. They are kept only if they are whole and a style of fast-style.

    Args:
        repo: ``OWNER/NAME`` of a repository on the Hugging Face hub.
        name: Which of its styles; needed if it holds several.
        revision: A branch, a tag or a commit; by default its main branch.
        folder: Where to write ``NAME.onnx`` and ``NAME.json``.
        force: Overwrite files that exist.

    Returns:
        The files that were written, the ONNX file first.

    Raises:
        InputError: ``repo`` is not such a name, holds no such style or several, or a file exists.
        ModelError: What came is damaged, too large, or not a style that fast-style exported.
        HubError: The hub cannot be reached, or refuses.
        FileError: The files cannot be written.
    """
    from huggingface_hub import HfApi

    with _explaining(repo, revision):
        info = HfApi(library_name="fast-style").model_info(repo, revision=revision)
        there = {file.rfilename for file in info.siblings or []}
        model = _choose(repo, there, name)
        names = [model] + [card for card in [f"{Path(model).stem}.json"] if card in there]
        targets = [Path(folder) / each for each in names]
        for target in targets:
            check_new(target, force=force)
        with tempfile.TemporaryDirectory() as temporary:
            for each, limit in zip(names, (MAX_MODEL_BYTES, MAX_CARD_BYTES), strict=False):
                # Both of one commit, whatever is pushed meanwhile.
                (Path(temporary) / each).write_bytes(_download(repo, each, info.sha, limit))
            try:
                files, _ = _read_style(Path(temporary) / model)
            except ModelError as error:
                said = str(error).replace(f"{temporary}/", "")
                raise ModelError(f"{repo}: {said}", hint="Nothing was kept.") from error
    Path(folder).mkdir(parents=True, exist_ok=True)
    for target in targets:
        with replacing(target) as partial:
            partial.write_bytes(files[target.name])
    return targets


def describe_style(style: Style, metadata: dict[str, str], repo: str) -> str:
    """Write the README.md that presents a style on the hub: YAML for the hub's search, and a page in Markdown.

    Args:
        style: With its card, from which the paintings are taken.
        metadata: What the ONNX file says of itself.
        repo: ``OWNER/NAME`` of the repository.
    """
    from huggingface_hub import ModelCardData

    card = style.card
    given = {
        key.removeprefix("painting_"): value for key, value in metadata.items() if key.startswith("painting_")
    }  # for a file without a card
    paintings: list[dict[str, Any]] = list(card.get("paintings", {}).values()) or [card.get("painting") or given]
    licences = {str(painting.get("licence", "not stated")) for painting in paintings}
    licence = licences.pop() if len(licences) == 1 else "see below"
    known = {"cc0": "cc0-1.0", "cc0-1.0": "cc0-1.0", "cc-by-4.0": "cc-by-4.0", "cc-by-sa-4.0": "cc-by-sa-4.0"}
    data = ModelCardData(
        library_name="onnx",
        pipeline_tag="image-to-image",
        tags=["fast-style", "neural-style-transfer", "style-transfer"],
        license=known.get(licence.lower(), "other"),
        license_name=None if licence.lower() in known else re.sub(r"[^a-z0-9.]+", "-", licence.lower()),
    )
    name = style.path.stem
    lines = ["---", data.to_yaml().strip(), "---", "", f"# {name}", ""]
    lines += ["Neural style transfer: a network that paints photos and films like", ""]
    lines += [f"- {_painting(painting)}" for painting in paintings]
    lines += ["", "With fast-style:", "", "```sh", f"fast-style hub pull {repo}"]
    lines += [f"fast-style stylize photo.jpg --style {name}.onnx -o out.png", "```", ""]
    pixels = metadata.get("layout") == "NHWC RGB"
    layout = "uint8 RGB, (N, H, W, 3)" if pixels else "float32 RGB in [0, 1], (N, 3, H, W)"
    lines += [
        f"`{name}.onnx` is an ordinary ONNX file: the input `image` and the output `stylized` are {layout}.",
        f"Its network is `{metadata.get('network', 'unknown')}`, in {metadata.get('precision', 'fp32')}.",
    ]
    largest = card.get("verification", {}).get("largest_difference")
    if isinstance(largest, float):
        lines.append(f"It was proved equal to the network that was trained, within {largest:.1e} of white.")
    if card:
        lines.append(f"`{name}.json` records how it was trained and proved.")
    return "\n".join(lines) + "\n"


def _painting(facts: dict[str, Any]) -> str:
    who = ", ".join(str(facts[key]) for key in ("artist", "year") if facts.get(key))
    return f"*{facts.get('title') or facts.get('file') or 'an untitled picture'}*" + (
        f", {who}; licence: {facts.get('licence', 'not stated')}" if who else f"; licence: {facts.get('licence')}"
    )


def _read_style(model: Path) -> tuple[dict[str, bytes], dict[str, str]]:
    """Read an ONNX file, and the card beside it if there is one; return contents by name, and the metadata.

    Raises:
        ModelError: The file is damaged, or fast-style did not export it; or the card is damaged or of another file.
    """
    content, graph, card = read_checked(model), open_graph(model), model.with_suffix(".json")
    if not graph.ours or graph.signature.picture is None:
        raise ModelError(f"{model} is not a style that fast-style exported")
    if not card.is_file():
        return {model.name: content}, graph.metadata
    if not (facts := read_card(model)):
        raise ModelError(f"{card} is not a card")
    if facts.get("sha256") != hashlib.sha256(content).hexdigest():
        raise ModelError(f"{card} is the card of another file than {model}")
    return {model.name: content, card.name: card.read_bytes()}, graph.metadata


def _choose(repo: str, there: set[str], name: str | None) -> str:
    """The one ONNX file of a repository that is asked for."""
    models = sorted(file for file in there if _MODEL_NAME.fullmatch(file))
    listed = ", ".join(Path(model).stem for model in models[:20]) or "none"
    if name is not None:
        if f"{name}.onnx" not in models:
            raise InputError(f"{repo} holds no style {name!r}; it holds {listed}")
        return f"{name}.onnx"
    if not models:
        raise InputError(f"{repo} holds no ONNX file")
    if len(models) > 1:
        raise InputError(f"{repo} holds several styles: {listed}", hint="Give --name with one of them.")
    return models[0]


def _download(repo: str, name: str, commit: str | None, limit: int) -> bytes:
    """Read a file of a repository, and stop as soon as it is larger than it may be."""
    from huggingface_hub import get_session, hf_hub_url
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

    content = bytearray()
    headers = build_hf_headers(library_name="fast-style")
    with get_session().stream("GET", hf_hub_url(repo, name, revision=commit), headers=headers) as answer:
        hf_raise_for_status(answer)
        for chunk in answer.iter_bytes():
            content += chunk
            if len(content) > limit:
                raise ModelError(f"{repo}: {name} has more than {limit >> 20} MiB", hint="Nothing was kept.")
    return bytes(content)


@contextlib.contextmanager
def _explaining(repo: str, revision: str | None = None) -> Iterator[None]:
    """Say what the hub's library says, in a line that names the remedy."""
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        HTTPError,
        LocalTokenNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    expected = f"{repo!r} is not the name of a repository; expected OWNER/NAME"
    if "/" not in repo:
        raise InputError(expected)
    try:
        yield
    except HFValidationError as error:
        raise InputError(expected) from error
    except GatedRepoError as error:
        raise HubError(f"{repo} asks for an agreement", hint="Accept it on its page, and log in.") from error
    except RepositoryNotFoundError as error:
        raise HubError(f"the hub has no {repo}, or you may not see it", hint=_LOG_IN) from error
    except RevisionNotFoundError as error:
        raise HubError(f"{repo} has no revision {revision!r}") from error
    except LocalTokenNotFoundError as error:
        raise HubError("the hub does not know you", hint=_LOG_IN) from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        hint = _LOG_IN if status in {401, 403} else "Try again later."
        raise HubError(f"the hub refuses {repo}: {first_line(error)}", hint=hint) from error
    except OfflineModeIsEnabled as error:
        raise HubError("HF_HUB_OFFLINE forbids to reach the hub", hint="Unset it.") from error
    except HTTPError as error:
        raise HubError(f"the hub cannot be reached: {first_line(error)}", hint="Try again later.") from error
