"""What is known of an ONNX file: its signature, metadata, checksum and cost, and the session that runs it."""

from fast_style.model.cost import describe_model
from fast_style.model.opening import open_graph
from fast_style.model.webgpu import webgpu_form

__all__ = ["describe_model", "open_graph", "webgpu_form"]
