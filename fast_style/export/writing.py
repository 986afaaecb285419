"""The one place where ONNX files are written: each names its producer and ends with its checksum."""

from copy import deepcopy
from pathlib import Path

import onnx

from fast_style.errors import ExportError
from fast_style.model.checksum import CHECKSUM_KEY, PRODUCER, add_checksum
from fast_style.model.editing import read_metadata, write_metadata


def write_model(model: onnx.ModelProto, path: Path) -> None:
    """Write a model that the ONNX checker takes, with a new checksum of all that is in it; it is not changed.

    Raises:
        ExportError: The checker refuses the model.
    """
    stamped = deepcopy(model)
    stamped.producer_name = PRODUCER
    write_metadata(stamped, {key: value for key, value in read_metadata(model).items() if key != CHECKSUM_KEY})
    path.write_bytes(add_checksum(stamped.SerializeToString()))
    try:
        onnx.checker.check_model(path, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"the ONNX checker refuses the exported graph: {error}") from error
