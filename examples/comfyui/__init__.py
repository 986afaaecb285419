"""A node for ComfyUI: copy this folder to ``ComfyUI/custom_nodes/fast_style``; it is then under *image/stylize*.

ComfyUI's Python needs fast-style: ``pip install FOLDER``, where FOLDER is the clone of fast-style.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fast_style import FastStyleError, Stylizer

# Opened once: a workflow runs the same styles again and again.
_open = lru_cache(maxsize=4)(Stylizer)


class FastStyle:
    """Stylizes pictures. ComfyUI calls the methods and reads the attributes by these names."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "stylize"
    CATEGORY = "image/stylize"
    DESCRIPTION = (
        "Paints pictures in a style of fast-style: a name, an ONNX file, or a mixture, udnie:0.7,the-scream:0.3"
    )

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, dict[str, Any]]:
        """Say what the node takes."""
        return {
            "required": {
                "image": ("IMAGE",),
                "style": ("STRING", {"default": "starry-night"}),
                "strength": ("FLOAT", {"default": 1.0, "min": 0.25, "max": 4.0, "step": 0.05}),
                "blend": ("FLOAT", {"default": 1.0, "min": 0.0, "max": 1.0, "step": 0.05}),
                "keep_colors": ("BOOLEAN", {"default": False}),
            }
        }

    @classmethod
    def VALIDATE_INPUTS(cls, style: str | None = None, strength: float | None = None) -> bool | str:
        """Return what is wrong with the style before anything runs, or True; None comes from another node, later."""
        if style is None:
            return True
        try:
            _open(style, strength=1.0 if strength is None else strength)
        except FastStyleError as error:
            return f"{error}. {error.hint or ''}".strip()
        return True

    def stylize(
        self, image: Tensor, style: str, strength: float = 1.0, blend: float = 1.0, keep_colors: bool = False
    ) -> tuple[Tensor]:
        """Stylize each picture of a batch by itself.

        Args:
            image: (N, H, W, 3), RGB in [0, 1]. A fourth channel is left out.
            style: A shipped style, an ONNX file, or a mixture.
            strength: How strongly to paint, 0.25 to 4.
            blend: 0 is the picture, 1 the full style.
            keep_colors: Take only brightness from the style.

        Returns:
            (N, H, W, 3), RGB in [0, 1], in steps of 1/255.

        Raises:
            FastStyleError: There is no such style, or a side is under 16 px.
        """
        stylizer = _open(style, strength=strength)
        photos = (image[..., :3].cpu().clamp(0, 1) * 255).round().to(torch.uint8).numpy()
        painted = [np.asarray(stylizer(photo, blend=blend, keep_colors=keep_colors)) for photo in photos]
        return (torch.from_numpy(np.stack(painted)).float() / 255,)


NODE_CLASS_MAPPINGS: dict[str, type] = {"FastStyle": FastStyle}
NODE_DISPLAY_NAME_MAPPINGS = {"FastStyle": "Stylize (fast-style)"}
__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS"]
