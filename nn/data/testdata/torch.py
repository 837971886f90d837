"""Writes torch.json and the torch_*.safetensors beside it: models of PyTorch, inputs, and outputs.

    python torch.py

Written with torch 2.15.0, safetensors 0.8.0 and numpy 2.4.6, on the CPU with one thread.

Each case has a file that the safetensors library wrote from a state_dict, the layers as
nn.ParseLayers reads them, the prefix of their names, x and what the model in eval mode
makes of it. A file of another type than F32 has the model rounded to that type; the
outputs are computed in float32 from the rounded numbers.
"""

import hashlib
import json
import os
import sys

sys.path.pop(0)  # or "import torch" finds this file
import numpy as np
import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import nn

SEED = 20251125
ROWS = 8
HERE = os.path.dirname(os.path.abspath(__file__))

torch.set_num_threads(1)
torch.manual_seed(SEED)


def randomise(model):
    """Random numbers for what starts as 0 or 1, and weights large enough that each layer shows."""
    with torch.no_grad():
        for m in model.modules():
            if isinstance(m, nn.Linear):
                m.weight.normal_(0, 1.5 / m.in_features**0.5)
            if isinstance(m, (nn.BatchNorm1d, nn.LayerNorm)):
                m.weight.normal_(1, 0.3)
                m.bias.normal_(0, 0.3)
            if isinstance(m, nn.BatchNorm1d):
                m.running_mean.normal_(0, 0.3)
                m.running_var.uniform_(0.5, 2)
    return model.eval()


class Model(nn.Module):
    """What many write: layers that are a part of something."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3))
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, x):
        return self.layers(x)


def small():
    return nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.SiLU(), nn.Linear(6, 3))


every = nn.Sequential(
    nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2),
    nn.Linear(8, 7), nn.LayerNorm(7), nn.GELU(),
    nn.Linear(7, 6), nn.LeakyReLU(0.2),
    nn.Linear(6, 6), nn.ELU(0.7),
    nn.Linear(6, 9), nn.GELU(approximate="tanh"),
    nn.Linear(9, 5), nn.SiLU(), nn.LayerNorm(5, eps=0.01),
    nn.Linear(5, 5), nn.Tanh(), nn.BatchNorm1d(5, eps=0.001, momentum=0.25),
    nn.Linear(5, 7), nn.Sigmoid(),
    nn.Linear(7, 4), nn.Softplus(),
    nn.Linear(4, 4), nn.Softmax(dim=1),
)
EVERY = (
    "8,batchnorm:0.9:1e-5:1,relu,dropout:0.2,7,layernorm,gelu,6,leakyrelu:0.2,6,elu:0.7,9,gelu-tanh,"
    "5,silu,layernorm:0.01,5,tanh,batchnorm:0.75:0.001:1,7,sigmoid,4,softplus,4,softmax"
)
SMALL = "6,batchnorm:0.9:1e-5:1,silu,3"

cases = []
for name, model, layers, prefix, dtype in [
    ("every", every, EVERY, "", torch.float32),
    ("prefix", Model(), "6,batchnorm:0.9:1e-5:1,relu,3", "layers.", torch.float32),
    ("f16", small(), SMALL, "", torch.float16),
    ("bf16", small(), SMALL, "", torch.bfloat16),
    ("f64", small().double(), SMALL, "", torch.float64),
]:
    randomise(model)
    if dtype == torch.float64:  # numbers that are no float32
        with torch.no_grad():
            for p in model.parameters():
                p += 1e-12 * torch.randn_like(p)
    model.to(dtype)
    file = f"torch_{name}.safetensors"
    path = os.path.join(HERE, file)
    metadata = {"format": "pt"} if name in ("every", "prefix") else None
    save_file(model.state_dict(), path, metadata=metadata)
    model.to(torch.float32)
    first = next(m for m in model.modules() if isinstance(m, nn.Linear))
    x = torch.randn(ROWS, first.in_features)
    with torch.no_grad():
        y = model(x)
    cases.append({
        "file": file,
        "sha256": hashlib.sha256(open(path, "rb").read()).hexdigest(),
        "in": first.in_features,
        "layers": layers,
        "prefix": prefix,
        "tensors": len(load_file(path)),
        "x": x.flatten().tolist(),
        "y": y.flatten().tolist(),
    })

with open(os.path.join(HERE, "torch.json"), "w") as f:
    versions = {"torch": torch.__version__, "safetensors": safetensors.__version__, "numpy": np.__version__}
    json.dump({"versions": versions, "rows": ROWS, "cases": cases}, f)
    f.write("\n")
