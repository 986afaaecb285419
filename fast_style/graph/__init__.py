"""What is known of an ONNX file: its signature, metadata, checksum and cost, and the session that runs it."""

from fast_style.graph.checksum import CHECKSUM_KEY, PRODUCER, add_checksum, read_checked
from fast_style.graph.cost import Cost, NodeCost, measure_cost
from fast_style.graph.description import COST_SIZE, ModelDescription, describe_model
from fast_style.graph.forms import (
    ORIGIN,
    STATISTICS,
    Statistics,
    apply_form,
    features_per_pixel,
    fixed_form,
    measure_form,
    noise_input,
    noise_tiles,
)
from fast_style.graph.opening import Feed, Graph, open_graph
from fast_style.graph.receptive import Reach, find_reach
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
    "ORIGIN",
    "OUTPUT",
    "PICTURE_TYPES",
    "PRODUCER",
    "PROVIDERS",
    "STATISTICS",
    "Cost",
    "Device",
    "Feed",
    "Graph",
    "ModelDescription",
    "NodeCost",
    "Reach",
    "Signature",
    "Statistics",
    "Value",
    "add_checksum",
    "apply_form",
    "core_count",
    "describe_model",
    "features_per_pixel",
    "find_reach",
    "first_line",
    "fixed_form",
    "measure_cost",
    "measure_form",
    "noise_input",
    "noise_tiles",
    "open_graph",
    "open_session",
    "read_checked",
    "running_device",
    "session_options",
    "show_shape",
]
