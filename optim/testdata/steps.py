"""Writes steps.json: the steps of PyTorch's optimizers, one at a time.

    python steps.py > steps.json

Each case has the optimizer's class as rule, the options that were passed to it, its
defaults for the others, the parameters and the state before the first step, and for
each step the gradient, and the parameters and the state after it. The steps are those
of the single-tensor form, on the CPU, in float32 and with one thread.

Vectors are little-endian float32 in base64, matrices by rows. The scalars of a state
are lists of one number. A name that a state doesn't have yet is missing from it.
"""

import base64
import inspect
import json

import numpy as np
import torch

SEED = 20240607
STEPS = 12
N = 19

torch.set_num_threads(1)
rng = np.random.Generator(np.random.PCG64(SEED))
cases = []


def draw(shape):
    return rng.standard_normal(shape).astype(np.float32)


def gradient(shape, t):
    # Zero, alternating in sign, zero at every other step, small, large, of one sign; the rest are plain.
    g = rng.standard_normal(int(np.prod(shape)))
    g[0] = 0
    g[1] = abs(g[1]) * (-1) ** t
    g[2] = g[2] if t % 2 else 0
    g[3:6] *= 1e-3
    g[6:9] *= 1e3
    g[9:10] = abs(g[9:10])
    return g.astype(np.float32).reshape(shape)


def encode(t):
    if t.dim() == 0:
        return [t.item()]
    return base64.b64encode(t.detach().numpy().astype("<f4").tobytes()).decode()


def case(rule, shape=(N,), **options):
    make = getattr(torch.optim, rule)
    options["foreach"] = False
    if "fused" in inspect.signature(make).parameters:
        options["fused"] = False

    p = torch.from_numpy(draw(shape)).requires_grad_()
    optimizer = make([p], **options)
    state = optimizer.state[p]

    def encode_state():
        return {name: encode(t) for name, t in state.items() if t is not None}

    # Most states are made by the first step, from the gradient's shape: have them before it.
    p.grad = torch.zeros_like(p)
    lists = len(inspect.signature(optimizer._init_group).parameters) - 1
    optimizer._init_group(optimizer.param_groups[0], *([] for _ in range(lists)))

    c = {
        "rule": rule,
        "shape": shape,
        "options": options,
        "defaults": {k: v for k, v in optimizer.defaults.items() if k not in options},
        "params0": encode(p),
        "state0": encode_state(),
        "steps": [],
    }
    for t in range(STEPS):
        p.grad = torch.from_numpy(gradient(shape, t))
        grad = encode(p.grad)
        optimizer.step()
        c["steps"].append({"grad": grad, "params": encode(p), "state": encode_state()})
    cases.append(c)


case("SGD", lr=0.1)
case("SGD", lr=0.1, momentum=0.9)
case("SGD", lr=0.1, momentum=0.9, dampening=0.3)
case("SGD", lr=0.1, momentum=0.9, nesterov=True)
case("SGD", lr=0.1, momentum=0.9, weight_decay=0.01, maximize=True)

case("Adagrad", lr=0.01)
case("Adagrad", lr_decay=0.1, initial_accumulator_value=0.5, eps=1e-10)

case("RMSprop")
case("RMSprop", centered=True)
case("RMSprop", momentum=0.9)
case("RMSprop", centered=True, momentum=0.5, alpha=0.9)

case("Adadelta")
case("Adadelta", lr=0.5, rho=0.8)

case("Adam")
case("Adam", weight_decay=0.01)
case("Adam", amsgrad=True)
case("Adam", maximize=True)
case("AdamW")
case("AdamW", amsgrad=True, weight_decay=0.1)
case("Adamax")
case("Adamax", betas=(0.8, 0.95))
case("NAdam")
case("NAdam", weight_decay=0.01, decoupled_weight_decay=True, momentum_decay=0.01)
case("RAdam")
case("RAdam", betas=(0.8, 0.9), weight_decay=0.01)

case("Rprop")
case("Rprop", etas=(0.4, 1.3), step_sizes=(1e-3, 0.05))
case("ASGD")
case("ASGD", lr=0.1, lambd=0.01, alpha=0.6, t0=4)

case("Adafactor", (3, 5))
case("Adafactor", (7,))
case("Adafactor", (6, 2), lr=0.02, weight_decay=0.1)

lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
print(f'{{"torch": "{torch.__version__}", "script": "steps.py", "seed": {SEED}, "cases": [\n{lines}\n]}}')
