"""From a trained network to a file that runs anywhere, proved equal."""

from fast_style.export.card import rewrite_card, write_card
from fast_style.export.deployment import deploy, export_checkpoint
from fast_style.export.from_onnx import network_from_onnx, read_network
from fast_style.export.styles import export_styles, verify_styles
from fast_style.export.to_onnx import export_onnx
from fast_style.export.verify import Verification, verify_onnx
from fast_style.export.writing import write_model

__all__ = [
    "Verification",
    "deploy",
    "export_checkpoint",
    "export_onnx",
    "export_styles",
    "network_from_onnx",
    "read_network",
    "rewrite_card",
    "verify_onnx",
    "verify_styles",
    "write_card",
    "write_model",
]
