"""PyTorch's side of `go run ./bench updates`.

Arguments: the optimizer, its form (default, foreach or fused), the number of
parameters, the number of threads. Each line on standard input is a number of steps
to do on one vector of parameters, always with the same gradients. It is answered by a
line of JSON: the seconds that the steps took, and the processor seconds in user mode.
"""

import json
import resource
import sys
import time

try:
    import torch
except ImportError as e:
    sys.exit(f"PyTorch is needed: {e}")

rule, form, n, threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
torch.set_num_threads(threads)

optimizers = {
    "sgd": (torch.optim.SGD, {"lr": 0.01}),
    "torch-sgd": (torch.optim.SGD, {"lr": 0.01, "momentum": 0.9}),
    "torch-adagrad": (torch.optim.Adagrad, {}),
    "torch-rmsprop": (torch.optim.RMSprop, {}),
    "torch-adam": (torch.optim.Adam, {}),
    "adamw": (torch.optim.AdamW, {}),
    "adadelta": (torch.optim.Adadelta, {}),
    "adamax": (torch.optim.Adamax, {}),
    "nadam": (torch.optim.NAdam, {}),
    "radam": (torch.optim.RAdam, {}),
    "rprop": (torch.optim.Rprop, {}),
    "asgd": (torch.optim.ASGD, {}),
}
forms = {"default": {}, "foreach": {"foreach": True}, "fused": {"fused": True}}

i = torch.arange(n, dtype=torch.float32)
params = torch.nn.Parameter(i % 17 / 17 + 0.1)
params.grad = i % 13 - 6
make, options = optimizers[rule]
try:
    optimizer = make([params], **options, **forms[form])
    optimizer.step()
except (TypeError, RuntimeError) as e:
    # Not every optimizer has every form.
    print(json.dumps({"missing": str(e)}), flush=True)
    sys.exit()
print(json.dumps({"version": torch.__version__}), flush=True)

for line in sys.stdin:
    user, start = resource.getrusage(resource.RUSAGE_SELF).ru_utime, time.perf_counter()
    for _ in range(int(line)):
        optimizer.step()
    elapsed = time.perf_counter() - start
    user = resource.getrusage(resource.RUSAGE_SELF).ru_utime - user
    print(json.dumps({"elapsed": elapsed, "user": user}), flush=True)
