"""Which styles a text names: one, a mixture of several, or one with an adapter."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fast_style.errors import InputError, ModelError
from fast_style.files import is_file
from fast_style.model.checksum import read_checked
from fast_style.model.editing import parse_model, read_metadata
from fast_style.model.ground import GROUND_KEY, Forms, ground_in
from fast_style.model.passes import COARSEST_KEY, COARSEST_UNTRAINED, STRENGTH_KEY, strength_in
from fast_style.model.table import Set, base_checksum, choose_styles, give_styles, number_in, paintings_in, read_sets
from fast_style.styles.adapter import SUFFIX, load_adapter
from fast_style.styles.catalog import Style, find_style, own_paths, shipped_paths, shipped_styles
from fast_style.styles.hub import is_hub_name

# What a mixture is written with; a style of several in a file cannot have them in its name.
MARKS = frozenset(":,#+")


@dataclass(frozen=True)
class Choice:
    """What a text names."""

    style: Style  # its name, file and card
    content: bytes | None  # the graph that was put together of several files, or None for the file itself
    weights: Mapping[str, float]  # of the styles that count; none leaves it to the file
    others: tuple[Path, ...] = ()  # the files beside the style's own of which the graph was put together

    def read(self) -> bytes:
        """Return the serialized graph."""
        return read_checked(self.style.path) if self.content is None else self.content


@dataclass(frozen=True)
class _Part:
    """One summand, FILE#STYLE+ADAPTER:WEIGHT, of which only one of the first two has to be there."""

    file: str
    style: str | None
    adapter: Path | None
    weight: float


def find_mixture(text: str | Path) -> Choice:
    """Find what a text names.

    ``starry-night`` is a shipped style, ``mine.onnx`` a file; ``starry-night:0.7,udnie:0.3`` mixes styles,
    ``fast+mine.safetensors`` gives the network of a style other scales and shifts, and ``all.onnx#udnie`` takes one of
    the styles in a file. What is mixed must share its convolutions and the size of its first pass; the styles' own
    strengths are mixed, too, and a ground remains if it is that of all.

    Raises:
        StyleNotFoundError: There is no such style or file.
        InputError: A weight is not a number, or the styles do not share their convolutions or first pass.
        ModelError: A file is damaged, or fast-style did not export it.
    """
    whole = str(text)
    if _is_one(whole):
        return Choice(find_style(text), None, {})
    parts = [_parse(part) for part in whole.split(",")]
    if len(parts) == 1 and parts[0].style is None and parts[0].adapter is None and parts[0].file != whole:
        return find_mixture(parts[0].file)  # one style with a weight is that style
    together = [_from_holder(part) for part in parts]
    weights = {part.style: part.weight for part in together if part.style is not None and part.adapter is None}
    if len(weights) == len(parts) and len({part.file for part in together}) == 1:
        style = find_style(together[0].file)
        held = style.styles or read_sets(read_checked(style.path))
        for name in weights:
            _check_held(together[0].file, name, held)
        return Choice(style, None, weights)
    joined = join_styles(whole.split(","))
    weights = dict(zip(joined.sets, (part.weight for part in parts), strict=True))
    strength = sum(weights[name] * own for name, own in joined.strengths.items()) / sum(weights.values())
    first, *others = joined.paths
    return Choice(Style("+".join(joined.sets), first, {}), joined.graph(strength), weights, tuple(others))


def _is_one(text: str) -> bool:
    """Whether a text is a name or a file, and not made up of several."""
    return is_file(text) or is_hub_name(text) or text in shipped_paths() or text in own_paths()


def mixture_name(text: str | Path) -> str:
    """Name what a text names, for files: its styles joined by ``+``."""
    if is_file(text) or not MARKS & set(str(text)):
        return Path(text).stem
    parts = [_parse(part) for part in str(text).split(",")]
    return "+".join(part.style or Path(part.adapter or part.file).stem for part in parts)


@dataclass(frozen=True)
class Joined:
    """Several styles of one network."""

    paths: list[Path]  # their files, each once
    content: bytes  # the serialized graph of one of them
    sets: dict[str, Set]  # their scales and shifts by name
    strengths: dict[str, float]  # their own strengths by name
    coarsest: int  # long side of their first pass, px
    grounds: dict[str, Forms]  # what they lay under flat places, by name
    paintings: dict[str, dict[str, Any]]  # what is known of their paintings by name

    def graph(self, strength: float) -> bytes:
        """Make the graph of all of them, whose own strength is this one."""
        grounds = set(self.grounds.values())
        ground = grounds.pop() if len(grounds) == 1 else "none"
        told = {STRENGTH_KEY: f"{strength:g}", COARSEST_KEY: str(self.coarsest), GROUND_KEY: ground}
        told["paintings"] = json.dumps(self.paintings, ensure_ascii=False)
        return give_styles(self.content, self.sets, metadata=told)


def join_styles(texts: list[str], *, as_they_are: bool = False) -> Joined:
    """Find what several styles share, and the set of each.

    Shipped styles that went on by themselves share nothing. They are still together in the file that they came from,
    where they look different; ``as_they_are`` does not take them from there.

    Raises:
        StyleNotFoundError, InputError, ModelError: As :func:`find_mixture`.
    """
    parts = [_parse(text) for text in texts]
    paths, contents, bases = _read(parts)
    if len(set(bases.values())) > 1:
        together = [_from_holder(part) for part in parts]
        paths_together, contents_together, bases_together = _read(together)
        if len(set(bases_together.values())) == 1:
            if as_they_are:
                named = [
                    text if held.adapter else f"{held.file}#{held.style or 'STYLE'}"
                    for text, held in zip(texts, together, strict=True)
                ]
                raise InputError(
                    f"{' and '.join(texts)} cannot be merged: their convolutions differ",
                    hint=f"Those in one file share theirs, and look different: fast-style merge {' '.join(named)}",
                )
            parts, paths, contents, bases = together, paths_together, contents_together, bases_together
    sets: dict[str, Set] = {}
    paintings: dict[str, dict[str, Any]] = {}
    told: dict[str, dict[str, str]] = {}
    for part in parts:
        if bases[part.file] != bases[parts[0].file]:
            several = [style for style in shipped_styles() if len(style.styles) > 1]
            held = "".join(f", such as {', '.join(style.styles)} of {style.name}," for style in several)
            raise InputError(
                f"{part.file} and {parts[0].file} cannot be mixed: their convolutions differ",
                hint=f"Mix styles of one file{held} or adapters of one network.",
            )
        name, values, painting, metadata = _set(part, contents[part.file], bases[part.file])
        if name in sets:
            raise InputError(
                f"two styles are called {name}",
                hint="Name each once. A style that is alone in its file is called after it: rename the file.",
            )
        sets[name], paintings[name], told[name] = values, painting, metadata
    strengths = {name: strength_in(metadata) for name, metadata in told.items()}
    grounds = {name: ground_in(metadata).forms for name, metadata in told.items()}
    sides = {name: number_in(metadata, COARSEST_KEY) or COARSEST_UNTRAINED for name, metadata in told.items()}
    if len(set(sides.values())) > 1:
        known = ", ".join(f"{name} at {side} px" for name, side in sides.items())
        raise InputError(f"{' and '.join(sides)} cannot be mixed: their first passes differ in size, {known}")
    first = contents[parts[0].file]
    held = next(iter(read_sets(first)))
    plain = choose_styles(first, {held: 1.0}) if held else first  # a file without names holds one style
    coarsest = next(iter(sides.values()))
    return Joined([*paths.values()], plain, sets, strengths, coarsest, grounds, paintings)


def _read(parts: list[_Part]) -> tuple[dict[str, Path], dict[str, bytes], dict[str, str]]:
    """The place of each file, its content, and the checksum of its convolutions."""
    paths = {part.file: find_style(part.file).path for part in parts}
    contents = {file: read_checked(path) for file, path in paths.items()}
    bases = {}
    for file, content in contents.items():
        try:
            bases[file] = base_checksum(content)
        except ModelError as error:
            raise ModelError(f"{file} cannot be mixed: {error}", hint=error.hint) from error
    return paths, contents, bases


def _from_holder(part: _Part) -> _Part:
    """A shipped style as one of those in the file of several that holds it."""
    if part.style is not None or part.adapter is not None:
        return part
    holders = [style.name for style in shipped_styles() if part.file in style.styles and len(style.styles) > 1]
    return replace(part, file=holders[0], style=part.file) if holders else part


def _set(part: _Part, content: bytes, base: str) -> tuple[str, Set, dict[str, Any], dict[str, str]]:
    """A part's name, set, what is known of its painting, and metadata."""
    held, metadata = read_sets(content), read_metadata(parse_model(content))
    if part.adapter is not None:
        adapter = load_adapter(part.adapter)
        if adapter.base != base or adapter.values.shape[1:] != next(iter(held.values())).shape[1:]:
            raise InputError(
                f"{part.adapter} is not an adapter for {part.file}", hint="Give the style that it was trained on."
            )
        painting = adapter.card.get("paintings", {}).get(adapter.name, {})
        recipe = adapter.card.get("recipe")
        told = recipe_metadata(recipe) if isinstance(recipe, dict) else metadata  # without one, as its base
        return adapter.name, adapter.values, painting, told
    if part.style is not None:
        _check_held(part.file, part.style, held)
    elif len(held) > 1:
        raise InputError(
            f"{part.file} holds {len(held)} styles",
            hint=f"Say which: {part.file}#{next(iter(held))}. It holds {', '.join(held)}.",
        )
    name = part.style or next(iter(held))
    return name or find_style(part.file).name, held[name], paintings_in(metadata).get(name, {}), metadata


def recipe_metadata(recipe: Mapping[str, Any]) -> dict[str, str]:
    """Return what the file of a style with this recipe says of its passes and its ground."""
    told = {GROUND_KEY: str(recipe.get("ground", "none"))}
    if recipe.get("passes") != 1:
        told |= {COARSEST_KEY: str(recipe.get("coarsest")), STRENGTH_KEY: str(recipe.get("draft_strength", 1))}
    return told


def _check_held(file: str, style: str, held: Iterable[str]) -> None:
    if style not in held:
        raise InputError(f"{file} holds no style {style!r}", hint=f"It holds {', '.join(held)}.")


def _parse(text: str) -> _Part:
    text, number, hint = text.strip(), 1.0, "Such as starry-night:0.7,udnie:0.3."
    body, colon, weight = text.rpartition(":")
    try:
        body, number = (body, float(weight)) if colon else (text, 1.0)
    except ValueError:
        # A path with a drive and a name on the Hub have a colon, too.
        if not Path(text).suffix and not is_hub_name(re.split("[#+]", text)[0]):
            raise InputError(f"{weight!r} is not a weight for {body}", hint=hint) from None
        body = text
    if not 0 < number < float("inf"):
        raise InputError(f"the weight of {body} is {number:g}; expected a number above 0")
    # A folder may have a plus in its name: the first one behind a style, else the first, stands before the adapter.
    pluses = [at for at, letter in enumerate(body) if letter == "+"] if SUFFIX in body else []
    behind = [at for at in pluses if _is_one(body[:at].partition("#")[0])]
    at = [*behind, *pluses, len(body)][0]
    file, adapter = body[:at], body[at + 1 :]
    file, _, style = file.partition("#")
    if not file:
        raise InputError(f"{text!r} names no style", hint=hint)
    return _Part(file, style or None, Path(adapter) if adapter else None, number)
