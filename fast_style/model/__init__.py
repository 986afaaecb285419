"""What is known of an ONNX file: its signature, metadata, checksum and cost, and the session that runs it."""

from fast_style.model.checksum import CHECKSUM_KEY, PRODUCER, add_checksum, read_checked
from fast_style.model.cost import measure_cost
from fast_style.model.metadata import COST_SIZE, describe_model
from fast_style.model.opening import Feed, Graph, open_graph
from fast_style.model.painting import join_passes, mixing_form, settling_form
from fast_style.model.reach import find_reach
from fast_style.model.session import (
    PROVIDERS,
    Device,
    core_count,
    engine_errors,
    first_line,
    open_session,
    session_options,
)
from fast_style.model.signature import INPUT, OUTPUT, Signature, Value, show_shape
from fast_style.model.statistics import (
    MASK,
    ORIGIN,
    STATISTICS,
    Statistics,
    features_per_pixel,
    fixed_form,
    measure_form,
    noise_input,
    noise_tiles,
)
from fast_style.model.table import (
    STRENGTH,
    STRONGEST,
    STYLES,
    WEAKEST,
    Set,
    as_row,
    base_checksum,
    choose_styles,
    give_styles,
    read_sets,
    style_names,
    takes_styles,
    with_metadata,
    without_defaults,
)
from fast_style.model.webgpu import webgpu_form

__all__ = [
    "CHECKSUM_KEY",
    "COST_SIZE",
    "INPUT",
    "MASK",
    "ORIGIN",
    "OUTPUT",
    "PRODUCER",
    "PROVIDERS",
    "STATISTICS",
    "STRENGTH",
    "STRONGEST",
    "STYLES",
    "WEAKEST",
    "Device",
    "Feed",
    "Graph",
    "Set",
    "Signature",
    "Statistics",
    "Value",
    "add_checksum",
    "as_row",
    "base_checksum",
    "choose_styles",
    "core_count",
    "describe_model",
    "engine_errors",
    "features_per_pixel",
    "find_reach",
    "first_line",
    "fixed_form",
    "give_styles",
    "join_passes",
    "measure_cost",
    "measure_form",
    "mixing_form",
    "noise_input",
    "noise_tiles",
    "open_graph",
    "open_session",
    "read_checked",
    "read_sets",
    "session_options",
    "settling_form",
    "show_shape",
    "style_names",
    "takes_styles",
    "webgpu_form",
    "with_metadata",
    "without_defaults",
]
