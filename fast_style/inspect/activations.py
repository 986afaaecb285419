"""The one way of naming layers and of catching what they put out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from fast_style.errors import LayerError, did_you_mean
from fast_style.inspect.network import Network


class _EnoughError(Exception):
    """Every layer asked for has been caught; what is deeper need not run."""


def find_layers(network: Network, names: Sequence[str]) -> dict[str, nn.Module]:
    """Look layers up by name, in the order asked for.

    Raises:
        LayerError: None was asked for, or one is unknown; the message suggests the nearest.
    """
    known = network.layers
    where = f"'fast-style inspect layers --model {network.name}' lists them."
    if not names:
        raise LayerError(f"no layer of {network.name} was asked for", hint=where)
    for name in names:
        if name not in known:
            raise LayerError(f"{network.name} has no layer {name!r}{did_you_mean(name, known)}", hint=where)
    return {name: known[name] for name in names}


@contextlib.contextmanager
def hooks(
    modules: Mapping[str, nn.Module],
    after: Callable[[str, Any], Tensor | None],
    *,
    before: Callable[[str], None] | None = None,
) -> Iterator[None]:
    """Call back whenever one of some modules runs; the hooks are gone after the block, whatever happens in it.

    Args:
        modules: The modules, by the name that is given to the callbacks.
        after: Called with name and output; what it returns, unless None, is handed on in the output's place.
        before: Called with the name before the module runs.
    """
    handles: list[RemovableHandle] = []
    try:
        for name, module in modules.items():
            if before is not None:
                handles.append(module.register_forward_pre_hook(lambda _m, _i, name=name: before(name)))
            handles.append(module.register_forward_hook(lambda _m, _i, output, name=name: after(name, output)))
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextlib.contextmanager
def catch(modules: Mapping[str, nn.Module], *, stop: bool = False) -> Iterator[dict[str, Tensor]]:
    """Catch the outputs of modules while the block runs.

    The caught tensors are those in the graph, so gradients can be taken with respect to them. Each is handed on as
    a copy, so that an in-place layer behind it cannot change what was caught. A module that runs several times
    gives its first output; outputs that are no tensors are left out.

    Args:
        modules: The modules, by the name to file their outputs under.
        stop: Once all have been caught, end the block quietly: what is deeper does not run.

    Yields:
        Name to output, filled as the network runs.
    """
    caught: dict[str, Tensor] = {}

    def keep(name: str, output: Any) -> Tensor | None:
        if name in caught or not isinstance(output, Tensor):
            return None
        caught[name] = output
        if stop and len(caught) == len(modules):
            raise _EnoughError
        return output.clone()

    with hooks(modules, keep), contextlib.suppress(_EnoughError):
        yield caught


def activations(network: Network, image: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
    """Run a network as far as needed and return what its layers put out.

    Args:
        network: A network of :func:`load_network`.
        image: (N, 3, H, W), RGB in [0, 1]; gradients flow to it if it wants them.
        layers: Names.

    Returns:
        Name to (N, C, h, w).

    Raises:
        LayerError: A layer is unknown, did not run, or has no positions (a fully connected one).
        ImageError: The picture is too small for the network.
    """
    with catch(find_layers(network, layers), stop=True) as caught:
        network(image)
    for name in layers:
        if name not in caught:
            raise LayerError(f"layer {name!r} of {network.name} puts out no tensor when a picture is classified")
        if caught[name].ndim != 4:
            raise LayerError(
                f"layer {name!r} of {network.name} has no map: its output is {tuple(caught[name].shape)}, not N C H W",
                hint=f"'fast-style inspect layers --model {network.name}' shows the shapes.",
            )
    return {name: caught[name] for name in layers}


def check_channel(channel: int, count: int, layer: str) -> None:
    """Make sure that a layer has a channel.

    Raises:
        LayerError: It has not.
    """
    if not 0 <= channel < count:
        raise LayerError(f"{layer} has no channel {channel}; its channels are 0 to {count - 1}")
