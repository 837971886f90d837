"""PyTorch's side of `go run ./bench versus`.

Arguments: a directory, the optimizer, the number of threads, the batch size, the
widths of the layers. The directory has the flat initial parameters (params.f32)
and the inputs and labels of some batches (batches.f32, labels.i32), in this
machine's byte order.

Each line on standard input is a number of steps to train on, on the batches by
turns. It is answered by a line of JSON: the seconds that the steps took, the
processor seconds in user mode, and the losses of the first and the last of them.
"""

import json
import pathlib
import resource
import sys
import time

try:
    import torch
except ImportError as e:
    sys.exit(f"PyTorch is needed: {e}")

directory, rule = pathlib.Path(sys.argv[1]), sys.argv[2]
threads, batch, *widths = map(int, sys.argv[3:])
torch.set_num_threads(threads)


def read(name, dtype):
    return torch.frombuffer(bytearray((directory / name).read_bytes()), dtype=dtype)


params = read("params.f32", torch.float32)
inputs = read("batches.f32", torch.float32).view(-1, batch, widths[0])
labels = read("labels.i32", torch.int32).long().view(-1, batch)

# In the forms closest to Lockstep's, and with the fused kernel or, where there is
# none, on all parameters at once: the fastest that there is.
optimizers = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.01, fused=True),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9, fused=True),
    "nesterov": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9, nesterov=True, fused=True),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.01, eps=1e-7, fused=True),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.01, alpha=0.99, eps=1e-7, foreach=True),
    "adam": lambda p: torch.optim.Adam(p, lr=0.001, eps=1e-7, fused=True),
}

layers, offset = [], 0
for n, m in zip(widths, widths[1:]):
    affine = torch.nn.Linear(n, m)
    with torch.no_grad():
        affine.weight.copy_(params[offset : offset + n * m].view(n, m).t())
        affine.bias.copy_(params[offset + n * m : offset + n * m + m])
    offset += n * m + m
    layers += [affine, torch.nn.ReLU()]
net = torch.nn.Sequential(*layers[:-1])
optimizer = optimizers[rule](net.parameters())
loss_of = torch.nn.CrossEntropyLoss()

step = 0
for line in sys.stdin:
    user, start = resource.getrusage(resource.RUSAGE_SELF).ru_utime, time.perf_counter()
    for k in range(int(line)):
        i = step % len(inputs)
        step += 1
        optimizer.zero_grad()
        loss = loss_of(net(inputs[i]), labels[i])
        loss.backward()
        optimizer.step()
        if k == 0:
            first = loss
    elapsed = time.perf_counter() - start
    user = resource.getrusage(resource.RUSAGE_SELF).ru_utime - user
    answer = {"elapsed": elapsed, "user": user, "first": first.item(), "last": loss.item()}
    print(json.dumps(answer), flush=True)
