"""From a trained network to a file that runs anywhere, proved equal."""

from fast_style.export.card import write_card
from fast_style.export.deployment import Deployment, deploy, export_checkpoint
from fast_style.export.forms import Form, verify_forms, write_form
from fast_style.export.from_onnx import network_from_onnx, read_network
from fast_style.export.styles import export_styles, verify_styles
from fast_style.export.to_onnx import TOLERANCE, Verification, export_onnx, verify_onnx
from fast_style.export.to_openvino import write_openvino
from fast_style.export.writing import write_model

__all__ = [
    "TOLERANCE",
    "Deployment",
    "Form",
    "Verification",
    "deploy",
    "export_checkpoint",
    "export_onnx",
    "export_styles",
    "network_from_onnx",
    "read_network",
    "verify_forms",
    "verify_onnx",
    "verify_styles",
    "write_card",
    "write_form",
    "write_model",
    "write_openvino",
]
