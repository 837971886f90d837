"""Writes layers.json: outputs and gradients of PyTorch's layers and losses.

    python layers.py > layers.json

All is on the CPU and with one thread. Each result is there twice: as float32 and as
float64 compute it, from the same float32 inputs and parameters.

vectors has each vector once, in base64 of little-endian float32, matrices by rows; all
else refers to them by their number. A result is two: the one that float32 computes, and
by how many of its ulps that of float64 is above it; or, where that is 1024 or more for
an element, that of float64 itself, in float64. An affine layer's weights are in×out.

A network of layers starts at params and takes one step of training per batch, without
an update: x gives y, and dy, the gradient with respect to y, gives grads; stats are the
running means and variances after it. A network that has any then predicts.

A loss has y and either labels or targets: each is the loss of each row, added up over
its elements, mean the mean that PyTorch takes, and grad the gradient of that.

In float64, GELU is written otherwise than PyTorch has it, for its own form, with
1 + erf or 1 + tanh, cancels for negative x.
"""

import base64
import json
import math

import numpy as np
import torch
from torch import nn

SEED = 20251125

torch.set_num_threads(1)
rng = np.random.Generator(np.random.PCG64(SEED))
vectors, numbers = [], {}


def draw(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def vector(x):
    """The number of a vector."""
    assert np.isfinite(x).all()
    text = base64.b64encode(x.astype(x.dtype.newbyteorder("<")).tobytes()).decode()
    if text not in numbers:
        numbers[text] = len(vectors)
        vectors.append(text)
    return numbers[text]


def result(x, exact):
    """The numbers of the two vectors of a result."""
    x, exact = x.detach().numpy(), exact.detach().numpy()
    assert x.dtype == np.float32 and exact.dtype == np.float64
    ulps = (exact - x.astype(np.float64)) / np.spacing(np.abs(x)).astype(np.float64)
    return [vector(x), vector(exact if abs(ulps).max() >= 1024 else ulps.astype(np.float32))]


class GELU64(nn.Module):
    def forward(self, x):
        return x / 2 * torch.erfc(-x / math.sqrt(2))


class GELUTanh64(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))


def layer(name, args, width, exact):
    if exact and name == "gelu":
        return GELU64()
    if exact and name == "gelu-tanh":
        return GELUTanh64()
    if name == "batchnorm":
        momentum, eps, unbiased = args
        assert unbiased == 1
        return nn.BatchNorm1d(width, eps=eps, momentum=1 - momentum)
    return {
        "relu": nn.ReLU,
        "leakyrelu": lambda slope: nn.LeakyReLU(float(np.float32(slope))),
        "elu": nn.ELU,
        "gelu": nn.GELU,
        "gelu-tanh": lambda: nn.GELU(approximate="tanh"),
        "silu": nn.SiLU,
        "sigmoid": nn.Sigmoid,
        "tanh": nn.Tanh,
        "softplus": nn.Softplus,  # it has x above 20, which ln(1 + e^x) rounds to in float32
        "softmax": lambda: nn.Softmax(dim=1),
        "layernorm": lambda eps: nn.LayerNorm(width, eps=eps),
    }[name](*args)


def transposed(x):
    """Of a matrix, as the weights are in×out here and out×in there."""
    return x.T if x.dim() == 2 else x


def network(width, text, params, exact):
    """The layers of a text, with the parameters of a flat vector."""
    modules, rest = [], torch.from_numpy(params)
    for part in text.split(","):
        name, *args = part.split(":")
        if name.isdigit():
            module = nn.Linear(width, int(name))
            width = int(name)
        else:
            module = layer(name, map(float, args), width, exact)
        for p in module.parameters(recurse=False):
            own, rest = rest[: p.numel()], rest[p.numel() :]
            p.data = transposed(own.reshape(p.shape[::-1])).contiguous()
        modules.append(module)
    assert len(rest) == 0
    net = nn.Sequential(*modules)
    return net.double() if exact else net


def flat(net):
    return torch.cat([transposed(p.grad).reshape(-1) for p in net.parameters()])


def stats(net):
    return torch.cat([s for m in net if isinstance(m, nn.BatchNorm1d) for s in (m.running_mean, m.running_var)])


networks = []


def layers(width, text, params, batches):
    nets = [network(width, text, params, exact) for exact in (False, True)]
    parameters, norms = len(params) > 0, "batchnorm" in text
    c = {"in": width, "layers": text, "params": vector(params), "batches": []}
    for x, dy in batches:
        ys = []
        for net, dtype in zip(nets, (torch.float32, torch.float64)):
            net.zero_grad()
            ys.append(net(torch.from_numpy(x).to(dtype)))
            if parameters:
                ys[-1].backward(torch.from_numpy(dy).to(dtype))
        b = {"rows": len(x), "x": vector(x), "y": result(*ys)}
        if parameters:
            b |= {"dy": vector(dy), "grads": result(*map(flat, nets))}
        if norms:
            b["stats"] = result(*map(stats, nets))
        c["batches"].append(b)
    if norms:
        x = batches[0][0]
        ys = [net.eval()(torch.from_numpy(x).to(dtype)) for net, dtype in zip(nets, (torch.float32, torch.float64))]
        c["predict"] = {"rows": len(x), "x": vector(x), "y": result(*ys)}
    networks.append(c)


def parameters(width, text):
    """Random parameters for the layers of a text: weights, biases, gammas, betas."""
    parts = []
    for part in text.split(","):
        if part.isdigit():
            parts += [draw(width * int(part)) / np.float32(math.sqrt(width)), draw(int(part)) / 2]
            width = int(part)
        elif part.startswith(("batchnorm", "layernorm")):
            parts += [1 + draw(width) / 2, draw(width) / 2]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


shared = {}


def batch(width, out, rows, number=0):
    """Inputs and output gradients, the same for each network of these sizes."""
    if (width, out, rows, number) not in shared:
        x, dy = draw(rows, width), draw(rows, out)
        x.flat[0] = 0
        x[3:4] *= 10
        x[4:5] *= 1e-3
        dy.flat[out // 2] = 0
        shared[width, out, rows, number] = x, dy
    return shared[width, out, rows, number]


ELEMENTWISE = "relu leakyrelu:0.01 leakyrelu:0.2 elu:1 elu:0.5 gelu gelu-tanh silu sigmoid tanh softplus".split()
NORMS = "batchnorm:0.9:1e-05:1 batchnorm:0.6:0.01:1 layernorm:1e-05 layernorm:0.1".split()
ROWS = [1, 2, 7, 64]


def sizes(text):
    """Batches for a layer: with a second set of options, the large one is left out."""
    small = 2 if "batchnorm" in text else 1
    second = text in ("leakyrelu:0.2", "elu:0.5", "batchnorm:0.6:0.01:1", "layernorm:0.1")
    return [n for n in ROWS if n >= small and not (second and n == 64)]


# The activations alone, for chosen arguments: those are the biases of an affine layer
# whose weights are zero, and the gradient of these is the activation's, element by element.
chosen = [0, 1e-30, 1e-20, 1e-9, 1e-3, 0.25, 0.5, 1, 1.5, 2, 3, 4, 5, 6, 8, 10, 12, 15, 18, 19.9, 20, 20.1, 25, 40, 60, 80, 90, 1000]
arguments = np.array(chosen + [-a for a in chosen if a], np.float32)
arguments = np.concatenate([arguments, draw(16), 10 * draw(9)])
slopes = draw(len(arguments))
for text in ELEMENTWISE:
    n = len(arguments)
    layers(1, f"{n},{text}", np.concatenate([np.zeros(n, np.float32), arguments]), [(np.ones((1, 1), np.float32), slopes[None])])

# The other layers alone.
rows = draw(7, 6)
rows[0] = [0, 60, -60, 20, -20, 1e-20]
rows[1] = 2
rows[2] *= 1e-3
rows[3] *= 30
rows[4] += 5
rows[5] = [-40, 30, 60, -25, 0, 59]
layers(6, "softmax", parameters(6, ""), [(rows, None)])
rows = rows.copy()
rows[0] = [0, 6, -6, 2, -2, 1e-20]
rows[5] = 0
for text in NORMS:
    layers(6, text, parameters(6, text), [(rows, draw(7, 6))])
columns = draw(7, 6)
columns[:, 0] = 0
columns[:, 1] *= 1e-3
columns[:, 2] *= 30
columns[:, 3] += 5
for text in NORMS:
    layers(6, text, parameters(6, text), [(columns, draw(7, 6))])

# In networks.
layers(5, "4", parameters(5, "4"), [batch(5, 4, 7)])
layers(5, "7,4", parameters(5, "7,4"), [batch(5, 4, 64)])
plain = parameters(5, "7,4")
for text in ELEMENTWISE + ["softmax"]:
    for n in sizes(text):
        layers(5, f"7,{text},4", plain, [batch(5, 4, n)])
for text in NORMS:
    for n in sizes(text):
        net = f"7,{text},4"
        layers(5, net, parameters(5, net), [batch(5, 4, n, k) for k in range(3 if "batchnorm" in text else 1)])

# Layers behind others than an affine one.
for text in (
    "gelu,7,silu,gelu,6,elu:1,softplus,4",
    "leakyrelu:0.2,silu,elu:0.5,6,sigmoid,tanh,relu,4,gelu-tanh",
    "7,sigmoid,layernorm:1e-05,gelu-tanh,6,batchnorm:0.9:1e-05:1,leakyrelu:0.2,4",
    "batchnorm:0.9:1e-05:1,6,silu,batchnorm:0.6:0.01:1,tanh,4,softmax",
    "7,tanh,softmax,sigmoid,4,layernorm:0.1",
):
    layers(5, text, parameters(5, text), [batch(5, 4, 7)])

losses = []


def loss(name, rows, y, labels=None, targets=None, **options):
    def compute(dtype, reduction):
        o = {k: torch.tensor(v, dtype=torch.float32).to(dtype) if k == "weight" else v for k, v in options.items()}
        logits = torch.from_numpy(y).to(dtype).requires_grad_()
        target = torch.tensor(labels) if labels is not None else torch.from_numpy(targets).to(dtype)
        return logits, getattr(nn, name)(reduction=reduction, **o)(logits, target)

    c = {"loss": name, "options": options, "rows": rows, "y": vector(y)}
    if labels is not None:
        c["labels"] = labels
    else:
        c["targets"] = vector(targets)
    means, grads, each = [], [], []
    for dtype in (torch.float32, torch.float64):
        logits, mean = compute(dtype, "mean")
        mean.backward()
        means.append(mean.item())
        grads.append(logits.grad)
        each.append(compute(dtype, "none")[1].reshape(rows, -1).sum(1))
    losses.append(c | {"mean": means, "grad": result(*grads), "each": result(*each)})


WEIGHTS = [0.3, 2, 1, 0]
for n in ROWS:
    y = 2 * draw(n, 4)
    y[3:4] = [60, -60, 20, -20]
    y[4:5] = 0
    y[5:6] = [1e-20, -1e-20, 1e-3, -1e-3]
    y[6:7] = [500, 499, -500, 498]
    y[7:8] *= 10
    labels = [int(k) for k in rng.integers(0, 3 if n < 7 else 4, n)]
    p = rng.random((n, 4)).astype(np.float32)
    p /= p.sum(1, keepdims=True)
    p[0] = [0, 1, 0, 0]
    p[1:2] *= 3  # no probabilities, but PyTorch takes them
    for options in ({}, {"label_smoothing": 0.1}, {"weight": WEIGHTS}, {"label_smoothing": 0.1, "weight": WEIGHTS}):
        loss("CrossEntropyLoss", n, y, labels=labels, **options)
        loss("CrossEntropyLoss", n, y, targets=p, **options)
    p = rng.random((n, 4)).astype(np.float32)
    p[0] = [0, 1, 0.5, 1e-20]
    p[2:3] = [0, 1, 1, 0]
    loss("BCEWithLogitsLoss", n, y, targets=p)
    t = y + draw(n, 4)
    t[0, 0] = y[0, 0]
    t[1:2] = y[1:2] + np.array([0.25, -0.25, 1, -1], np.float32)
    t[2:3] = [1000, -1000, 1e-3, 0]
    t[4:5] = [0.25, -0.25, 1, -1]
    for name, options in ("MSELoss", {}), ("L1Loss", {}), ("HuberLoss", {"delta": 1}), ("HuberLoss", {"delta": 0.25}):
        loss(name, n, y, targets=t, **options)


def lines(x):
    return ",\n".join(json.dumps(v, separators=(",", ":")) for v in x)


print(f'{{"torch": "{torch.__version__}", "script": "layers.py", "seed": {SEED},')
print(f'"networks": [\n{lines(networks)}\n],\n"losses": [\n{lines(losses)}\n],\n"vectors": [\n{lines(vectors)}\n]}}')
