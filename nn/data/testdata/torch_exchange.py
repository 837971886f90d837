"""The other side of TestExchange: networks of nn in PyTorch and onnxruntime, and the reverse.

    go test -tags exchange -run TestExchange -v -python python .

Run with torch 2.15.0, safetensors 0.8.0, onnx 1.23.2, onnxruntime 1.32.0 and numpy 2.4.6, on
the CPU. The directory has NAME.safetensors, NAME.onnx, the module as an expression,
NAME.py, inputs as they are preprocessed and the outputs of nn. A difference of more than
1e-4, or another class for any of the inputs, is an error. Then a model of the same layers
is trained here and left for nn.
"""

import os
import sys

sys.path.pop(0)  # or "import torch" finds another file
import numpy as np
import onnx
import onnxruntime as ort
import safetensors
import torch
from safetensors.torch import load_file, save_file

directory = sys.argv[1]
torch.manual_seed(1)
torch.set_num_threads(2)
print("torch", torch.__version__, "safetensors", safetensors.__version__, "onnx", onnx.__version__, "onnxruntime", ort.__version__)


def path(name):
    return os.path.join(directory, name)


def matrix(name, cols):
    return np.fromfile(path(name), "<f4").reshape(-1, cols)


def compare(what, y, ours):
    worst = np.abs(y.astype(np.float64) - ours).max()
    other = int((y.argmax(1) != ours.argmax(1)).sum())
    print(f"{what}: {len(y)} rows, largest difference {worst:.3g} of outputs up to {np.abs(ours).max():.3g}, {other} other classes")
    assert y.dtype == np.float32 and worst <= 1e-4 and other == 0


class Model(torch.nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.layers = layers

    def forward(self, x):
        return self.layers(x)


test = matrix("test.f32", 784)
train = torch.from_numpy(matrix("train.f32", 784).copy())
labels = torch.from_numpy(np.fromfile(path("train.u8"), "u1").astype(np.int64))
for name in ("plain", "deep"):
    x, ours = matrix(name + ".x.f32", 784), matrix(name + ".y.f32", 10)
    source = open(path(name + ".py")).read()
    print(source)

    model = eval(source)
    model.load_state_dict(load_file(path(name + ".safetensors")), strict=True)
    model.eval()
    with torch.no_grad():
        compare(f"{name} in torch", model(torch.from_numpy(x)).numpy(), ours)

    onnx.checker.check_model(path(name + ".onnx"), full_check=True)
    session = ort.InferenceSession(path(name + ".onnx"), providers=["CPUExecutionProvider"])
    compare(f"{name} in onnxruntime", session.run(["y"], {"x": test})[0], ours)
    one = np.concatenate([session.run(["y"], {"x": test[i : i + 1]})[0] for i in range(100)])
    compare(f"{name} in onnxruntime, row by row", one, ours[:100])

    model = Model(eval(source))
    mean, std = (train.mean(0), (train.var(0) + 0.01).sqrt()) if name == "deep" else (0, 1)
    optimizer = torch.optim.Adam(model.parameters())
    for epoch in range(2):
        for rows in torch.randperm(len(train)).split(128):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model((train[rows] - mean) / std), labels[rows])
            loss.backward()
            optimizer.step()
    model.eval()
    save_file(model.state_dict(), path(name + ".torch.safetensors"))
    with torch.no_grad():
        model(torch.from_numpy(x)).numpy().tofile(path(name + ".torch.y.f32"))
