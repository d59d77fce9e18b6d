"""Runs the three exported models of a folder on its vectors.json and writes scores.json beside them.

vectors.json: [{"values": [64 numbers], "bytes": [64 bytes]}, ...]
scores.json: {"float": [[...], ...], "onnx": [[...], ...], "legacy": [[...], ...], "legacy_input": [scale, zero point],
              "legacy_output": [scale, zero point], "operators": {name: largest version}}
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

folder = Path(sys.argv[1])
vectors = json.loads((folder / "vectors.json").read_text())


def interpreter(name):
    runner = Interpreter(model_path=str(folder / name))
    runner.allocate_tensors()
    return runner, runner.get_input_details()[0], runner.get_output_details()[0]


def run(runner, values):
    model, given, taken = runner
    assert list(given["shape"]) == [1, 64, 1], given["shape"]
    model.set_tensor(given["index"], np.asarray(values, given["dtype"]).reshape(1, 64, 1))
    model.invoke()
    return model.get_tensor(taken["index"])[0].tolist()


def operators(name):
    model = schema.Model.GetRootAs((folder / name).read_bytes())
    assert schema.Model.ModelBufferHasIdentifier((folder / name).read_bytes(), 0)
    names = {value: key for key, value in vars(schema.BuiltinOperator).items() if not key.startswith("_")}
    codes = (model.OperatorCodes(index) for index in range(model.OperatorCodesLength()))
    return {names[code.BuiltinCode()]: code.Version() for code in codes}


floats, legacy = interpreter("model.tflite"), interpreter("legacy.tflite")
session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
assert legacy[1]["dtype"] == np.uint8 and legacy[2]["dtype"] == np.uint8
result = {
    "float": [run(floats, vector["values"]) for vector in vectors],
    "legacy": [run(legacy, vector["bytes"]) for vector in vectors],
    "onnx": [
        session.run(["scores"], {"landmarks": np.asarray(vector["values"], np.float32).reshape(1, 64, 1)})[0][0].tolist()
        for vector in vectors
    ],
    "legacy_input": [float(part) for part in legacy[1]["quantization"]],
    "legacy_output": [float(part) for part in legacy[2]["quantization"]],
    "operators": operators("legacy.tflite"),
}
(folder / "scores.json").write_text(json.dumps(result))
