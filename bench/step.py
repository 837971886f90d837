"""The Python sides of `go run ./bench versus`.

Arguments: the library, pytorch or scikit-learn, a directory, the optimizer, the
number of threads, the batch size, the widths of the layers. The directory has the
flat initial parameters (params.f32) and the inputs and labels of some batches
(inputs.f32, labels.i32), in this machine's byte order.

The first line on standard output is JSON: the version of the library, the form that
it has been brought into, and whether its steps differ from the others'. Then each
line on standard input is a number of steps to train on, on the batches by turns. It
is answered by a line of JSON: the seconds that the steps took, the processor seconds
in user mode, and the losses of the first and the last of them.
"""

import array
import json
import pathlib
import resource
import sys
import time

library, directory, rule = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
threads, batch, *widths = map(int, sys.argv[4:])


def read(name, code):
    return array.array(code, (directory / name).read_bytes())


def tensors(params):
    """The weights, inputs by outputs, and biases of each layer, of a flat array."""
    offset = 0
    for n, m in zip(widths, widths[1:]):
        yield params[offset : offset + n * m].reshape(n, m), params[offset + n * m : offset + n * m + m]
        offset += n * m + m


def pytorch():
    """Returns the version, the form of the optimizer, whether the steps differ, and a
    function that trains on a batch and returns the loss. And the batches."""
    import torch

    torch.set_num_threads(threads)
    inputs = torch.frombuffer(read("inputs.f32", "f"), dtype=torch.float32).view(-1, batch, widths[0]).unbind()
    labels = torch.frombuffer(read("labels.i32", "i"), dtype=torch.int32).long().view(-1, batch).unbind()
    layers = []
    for w, b in tensors(torch.frombuffer(read("params.f32", "f"), dtype=torch.float32)):
        affine = torch.nn.Linear(*w.shape)
        with torch.no_grad():
            affine.weight.copy_(w.t())
            affine.bias.copy_(b)
        layers += [affine, torch.nn.ReLU()]
    net = torch.nn.Sequential(*layers[:-1])

    make = {  # in the forms closest to Lockstep's
        "sgd": lambda p, **form: torch.optim.SGD(p, lr=0.01, **form),
        "momentum": lambda p, **form: torch.optim.SGD(p, lr=0.01, momentum=0.9, **form),
        "nesterov": lambda p, **form: torch.optim.SGD(p, lr=0.01, momentum=0.9, nesterov=True, **form),
        "adagrad": lambda p, **form: torch.optim.Adagrad(p, lr=0.01, eps=1e-7, **form),
        "rmsprop": lambda p, **form: torch.optim.RMSprop(p, lr=0.01, alpha=0.99, eps=1e-7, **form),
        "adam": lambda p, **form: torch.optim.Adam(p, lr=0.001, eps=1e-7, **form),
    }[rule]
    forms = {"for-loop": {"foreach": False}, "foreach": {"foreach": True}, "fused": {"fused": True}}
    trials = {}
    for name, form in forms.items():
        copies = [p.detach().clone() for p in net.parameters()]
        for p in copies:
            p.grad = torch.full_like(p, 1e-3)
        try:
            trials[name] = make(copies, **form).step
        except TypeError:
            pass  # there is no such form
    form = fastest(trials)
    optimizer = make(net.parameters(), **forms[form])
    loss_of = torch.nn.CrossEntropyLoss()

    def step(x, t):
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(net(x), t)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return torch.__version__, form, False, step, list(zip(inputs, labels))


def fastest(functions):
    """Returns the name of the one that takes the shortest time, in the best of 50 calls
    by turns."""
    times = {name: [] for name in functions}
    for _ in range(50):
        for name, f in functions.items():
            start = time.perf_counter()
            f()
            times[name].append(time.perf_counter() - start)
    return min(times, key=lambda name: min(times[name]))


def scikit_learn():
    """As pytorch. Two classes are one logistic output there: the same loss from
    fewer weights, which move otherwise."""
    import numpy
    import sklearn
    from sklearn.neural_network import MLPClassifier

    sklearn.set_config(assume_finite=True, skip_parameter_validation=True)  # the fastest that there is
    inputs = numpy.array(read("inputs.f32", "f")).reshape(-1, batch, widths[0])
    labels = numpy.array(read("labels.i32", "i")).reshape(-1, batch)
    options = {
        "sgd": {"solver": "sgd", "learning_rate_init": 0.01, "momentum": 0},
        "momentum": {"solver": "sgd", "learning_rate_init": 0.01, "momentum": 0.9, "nesterovs_momentum": False},
        "nesterov": {"solver": "sgd", "learning_rate_init": 0.01, "momentum": 0.9, "nesterovs_momentum": True},
        "adam": {"solver": "adam", "learning_rate_init": 0.001, "epsilon": 1e-7},
    }[rule]
    net = MLPClassifier(widths[1:-1], alpha=0, batch_size=batch, shuffle=False, **options)
    net.partial_fit(inputs[0], labels[0], classes=numpy.arange(widths[-1]))  # makes the parameters
    del net._optimizer  # and forgets its state
    for i, (w, b) in enumerate(tensors(numpy.array(read("params.f32", "f")))):
        logistic = w.shape[1] > net.intercepts_[i].size
        if logistic:
            w, b = w[:, 1:] - w[:, :1], b[1:] - b[:1]
        net.coefs_[i][:], net.intercepts_[i][:] = w, b

    def step(x, t):
        net.partial_fit(x, t)
        return net.loss_

    return sklearn.__version__, "logistic" if logistic else "", logistic, step, list(zip(inputs, labels))


try:
    version, form, differs, step, batches = {"pytorch": pytorch, "scikit-learn": scikit_learn}[library]()
except ImportError as e:
    sys.exit(f"{library} is needed: {e}")
print(json.dumps({"version": version, "form": form, "differs": differs}), flush=True)

done = 0
for line in sys.stdin:
    user, start = resource.getrusage(resource.RUSAGE_SELF).ru_utime, time.perf_counter()
    for k in range(int(line)):
        loss = step(*batches[done % len(batches)])
        done += 1
        if k == 0:
            first = loss
    elapsed = time.perf_counter() - start
    user = resource.getrusage(resource.RUSAGE_SELF).ru_utime - user
    print(json.dumps({"elapsed": elapsed, "user": user, "first": float(first), "last": float(loss)}), flush=True)
