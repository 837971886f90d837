"""Writes onnx.json: what onnxruntime computes with the onnx_*.onnx beside it.

    go test -run TestONNX -update-onnx .
    python testdata/onnx.py

Written with onnx 1.23.2, onnxruntime 1.32.0 and numpy 2.4.6. Each file passes onnx.checker
with its full check, which infers the shapes. y is computed twice, as the files are and
with onnxruntime's optimizations off, and the two are compared; the file has the former.
"""

import glob
import hashlib
import json
import os
import sys

sys.path.pop(0)  # or "import onnx" finds this file
import numpy as np
import onnx
import onnxruntime as ort

SEED = 20251125
ROWS = 8
HERE = os.path.dirname(os.path.abspath(__file__))

rng = np.random.Generator(np.random.PCG64(SEED))


def session(path, level):
    options = ort.SessionOptions()
    options.graph_optimization_level = level
    options.intra_op_num_threads = 1
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


cases = []
for path in sorted(glob.glob(os.path.join(HERE, "onnx_*.onnx"))):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    dims = [[d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in (model.graph.input[0], model.graph.output[0])]
    assert dims[0][0] == dims[1][0] == "N", dims
    x = (2 * rng.standard_normal((ROWS, dims[0][1]))).astype(np.float32)
    y, = session(path, ort.GraphOptimizationLevel.ORT_ENABLE_ALL).run(["y"], {"x": x})
    plain, = session(path, ort.GraphOptimizationLevel.ORT_DISABLE_ALL).run(["y"], {"x": x})
    assert y.shape == (ROWS, dims[1][1]) and y.dtype == np.float32, (path, y.shape)
    print(os.path.basename(path), [n.op_type for n in model.graph.node], "optimized or not:", abs(y - plain).max())
    cases.append({
        "file": os.path.basename(path),
        "sha256": hashlib.sha256(open(path, "rb").read()).hexdigest(),
        "x": x.flatten().tolist(),
        "y": y.flatten().tolist(),
    })

with open(os.path.join(HERE, "onnx.json"), "w") as f:
    versions = {"onnx": onnx.__version__, "onnxruntime": ort.__version__, "numpy": np.__version__}
    json.dump({"versions": versions, "rows": ROWS, "cases": cases}, f)
    f.write("\n")
