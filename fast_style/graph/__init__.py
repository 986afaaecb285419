"""What is known of an ONNX file: its signature, metadata, checksum and cost, and the session that runs it."""

from fast_style.graph.checksum import CHECKSUM_KEY, PRODUCER, add_checksum, read_checked
from fast_style.graph.cost import Cost, NodeCost, measure_cost
from fast_style.graph.description import COST_SIZE, ModelDescription, describe_model
from fast_style.graph.opening import Feed, Graph, open_graph
from fast_style.graph.session import (
    PROVIDERS,
    Device,
    core_count,
    first_line,
    open_session,
    running_device,
    session_options,
)
from fast_style.graph.signature import INPUT, OUTPUT, PICTURE_TYPES, Signature, Value, show_shape

__all__ = [
    "CHECKSUM_KEY",
    "COST_SIZE",
    "INPUT",
    "OUTPUT",
    "PICTURE_TYPES",
    "PRODUCER",
    "PROVIDERS",
    "Cost",
    "Device",
    "Feed",
    "Graph",
    "ModelDescription",
    "NodeCost",
    "Signature",
    "Value",
    "add_checksum",
    "core_count",
    "describe_model",
    "first_line",
    "measure_cost",
    "open_graph",
    "open_session",
    "read_checked",
    "running_device",
    "session_options",
    "show_shape",
]
