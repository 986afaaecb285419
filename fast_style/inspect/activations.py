"""Naming layers and catching their outputs."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fast_style.errors import LayerError, did_you_mean
from fast_style.inspect.network import Network


class _EnoughError(Exception):
    """All layers have been caught; deeper ones need not run."""


def find_layers(network: Network, names: Sequence[str]) -> dict[str, nn.Module]:
    """Look layers up by name, in that order.

    Raises:
        LayerError: There is no name, or one is unknown; the message suggests the nearest.
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
def hooks(modules: Mapping[str, nn.Module], after: Callable[[str, Any], Tensor | None]) -> Iterator[None]:
    """Call back with name and output whenever one of some modules has run, until the block ends, however it ends.

    What ``after`` returns, unless None, replaces the output.
    """
    with contextlib.ExitStack() as handles:
        for name, module in modules.items():
            hook = module.register_forward_hook(lambda _m, _i, output, name=name: after(name, output))
            handles.enter_context(hook)
        yield


@contextlib.contextmanager
def catch(modules: Mapping[str, nn.Module], *, stop: bool = False) -> Iterator[dict[str, Tensor]]:
    """Catch the outputs of modules while the block runs.

    The caught tensors are part of the graph, so gradients can be taken with respect to them. The network continues with
    a copy of each, so that an in-place layer behind it cannot change it. A module that runs several times gives its
    first output; outputs that are not tensors are left out.

    Args:
        modules: Name to module.
        stop: End the block quietly once all have been caught: deeper layers do not run.

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


@torch.no_grad()
def find_maps(network: Network, names: Sequence[str]) -> dict[str, nn.Module]:
    """Look layers up by name, as :func:`find_layers`, that put out N C H W.

    Transformers such as swin_t put out N H W C, in which positions would be taken for channels. It shows on a square
    picture, of which maps are square.

    Raises:
        LayerError: A layer is unknown, does not run, or puts out something else.
    """
    modules = find_layers(network, names)
    with catch(modules, stop=True) as caught:
        network(torch.zeros(1, 3, network.size, network.size, device=network.device))
    for name in names:
        if name not in caught:
            raise LayerError(f"layer {name!r} of {network.name} puts out no tensor when a picture is classified")
        shape = tuple(caught[name].shape)
        if len(shape) != 4 or shape[2] != shape[3]:
            raise LayerError(
                f"layer {name!r} of {network.name} has no map: its output is {shape}, not N C H W",
                hint=f"'fast-style inspect layers --model {network.name}' shows the shapes.",
            )
    return modules


def activations(network: Network, image: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
    """Run a network as far as needed and return the outputs of its layers, (N, C, h, w), by name.

    ``image`` is (N, 3, H, W), RGB in [0, 1]; gradients flow to it if it requires them.

    Raises:
        LayerError: As :func:`find_maps`.
        ImageError: The picture is too small for the network.
    """
    return run_to(network, image, find_maps(network, layers))


def run_to(network: Network, image: Tensor, maps: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """Return the :func:`activations` of layers that :func:`find_maps` has found."""
    with catch(maps, stop=True) as caught:
        network(image)
    return {name: caught[name] for name in maps}


def check_channel(channel: int, count: int, layer: str) -> None:
    """Raise LayerError unless a layer of ``count`` channels has this one."""
    if not 0 <= channel < count:
        raise LayerError(f"{layer} has no channel {channel}; its channels are 0 to {count - 1}")
