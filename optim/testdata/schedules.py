"""Writes schedules.json: learning rates by PyTorch's schedulers.

    python3 schedules.py > schedules.json

Each case has the optimizer's rate as base, the rate that its parameter group has
before each step, and for the cyclic ones the momentum. The cases of
ReduceLROnPlateau have the metric after each step.
"""

import json
import math

import torch
from torch.optim import lr_scheduler as S

cases = []


def case(name, base, steps, make, metric=None):
    momentum = "Cycl" in name
    p = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([p], lr=base, momentum=0.9 if momentum else 0)
    scheduler = make(optimizer)
    group = optimizer.param_groups[0]
    c = {"name": name, "base": base, "lr": []}
    if momentum:
        c["momentum"] = []
    if metric:
        c["metric"] = [metric(t) for t in range(steps)]
    for t in range(steps):
        c["lr"].append(float(group["lr"]))
        if momentum:
            c["momentum"].append(group["momentum"])
        optimizer.step()
        if metric:
            scheduler.step(c["metric"][t])
        elif t + 1 < steps:
            scheduler.step()
    cases.append(c)


case("LambdaLR 1/(1+t)", 0.5, 60, lambda o: S.LambdaLR(o, lambda t: 1 / (1 + t)))
case("MultiplicativeLR 1-1/(t+2)", 0.5, 100, lambda o: S.MultiplicativeLR(o, lambda t: 1 - 1 / (t + 2)))

case("StepLR defaults, 30", 0.05, 100, lambda o: S.StepLR(o, 30))
case("StepLR 7 0.7", 0.3, 100, lambda o: S.StepLR(o, 7, 0.7))
case("MultiStepLR defaults, 30 80", 0.05, 100, lambda o: S.MultiStepLR(o, [30, 80]))
case("MultiStepLR 1 2 9 40 0.3", 1.0, 60, lambda o: S.MultiStepLR(o, [1, 2, 9, 40], 0.3))

case("ConstantLR defaults", 0.05, 60, lambda o: S.ConstantLR(o))
case("ConstantLR 0.7 33", 0.3, 60, lambda o: S.ConstantLR(o, 0.7, 33))
case("LinearLR defaults", 0.05, 60, lambda o: S.LinearLR(o))
case("LinearLR 0.001 0.9 77", 0.3, 100, lambda o: S.LinearLR(o, 0.001, 0.9, 77))
case("LinearLR 1 0 50", 0.3, 60, lambda o: S.LinearLR(o, 1.0, 0.0, 50))
case("ExponentialLR 0.97", 0.3, 200, lambda o: S.ExponentialLR(o, 0.97))
case("ExponentialLR 1.1", 1e-5, 100, lambda o: S.ExponentialLR(o, 1.1))
case("PolynomialLR defaults", 0.05, 60, lambda o: S.PolynomialLR(o))
case("PolynomialLR 70 2.5", 0.3, 100, lambda o: S.PolynomialLR(o, 70, 2.5))

case("CosineAnnealingLR 60", 0.1, 200, lambda o: S.CosineAnnealingLR(o, 60))
case("CosineAnnealingLR 37 0.01", 0.3, 200, lambda o: S.CosineAnnealingLR(o, 37, 0.01))
case("CosineAnnealingWarmRestarts 25", 0.1, 100, lambda o: S.CosineAnnealingWarmRestarts(o, 25))
case("CosineAnnealingWarmRestarts 7 3 0.01", 0.3, 200, lambda o: S.CosineAnnealingWarmRestarts(o, 7, 3, 0.01))
case(
    "WarmupCosine 20 100 0.001", 0.1, 121,
    lambda o: S.SequentialLR(o, [S.LinearLR(o, 1 / 21, 1, 20), S.CosineAnnealingLR(o, 100, 0.001)], [20]),
)

case("CyclicLR defaults, 0.1", 0.01, 60, lambda o: S.CyclicLR(o, 0.01, 0.1))
case("CyclicLR 0.1 20 13", 0.01, 150, lambda o: S.CyclicLR(o, 0.01, 0.1, 20, 13))
case("CyclicLR 0.1 20 triangular2", 0.01, 200, lambda o: S.CyclicLR(o, 0.01, 0.1, 20, mode="triangular2"))
case(
    "CyclicLR 0.1 20 30 exp_range 0.98", 0.01, 150,
    lambda o: S.CyclicLR(o, 0.01, 0.1, 20, 30, mode="exp_range", gamma=0.98),
)

case("OneCycleLR defaults, 100", 0.1, 100, lambda o: S.OneCycleLR(o, 0.1, total_steps=100))
case(
    "OneCycleLR 77 0.45 10 50 linear", 0.3, 77,
    lambda o: S.OneCycleLR(
        o, 0.3, total_steps=77, pct_start=0.45, div_factor=10, final_div_factor=50, anneal_strategy="linear"
    ),
)
case(
    "OneCycleLR 100 0.4 three_phase", 0.1, 100,
    lambda o: S.OneCycleLR(o, 0.1, total_steps=100, pct_start=0.4, three_phase=True),
)
case(
    "OneCycleLR 63 0.7 linear three_phase", 0.1, 63,
    lambda o: S.OneCycleLR(o, 0.1, total_steps=63, pct_start=0.7, anneal_strategy="linear", three_phase=True),
)
case("OneCycleLR 4 0.1", 0.1, 4, lambda o: S.OneCycleLR(o, 0.1, total_steps=4, pct_start=0.1))

case(
    "ChainedScheduler ConstantLR 0.1 20, ExponentialLR 0.9", 0.05, 60,
    lambda o: S.ChainedScheduler([S.ConstantLR(o, 0.1, 20), S.ExponentialLR(o, 0.9)]),
)
case(
    "ChainedScheduler LinearLR 0.01 1 10, StepLR 15 0.5, PolynomialLR 90 2", 0.3, 100,
    lambda o: S.ChainedScheduler([S.LinearLR(o, 0.01, 1, 10), S.StepLR(o, 15, 0.5), S.PolynomialLR(o, 90, 2)]),
)
case(
    "SequentialLR ConstantLR 0.1 20, ExponentialLR 0.9; 20", 0.05, 60,
    lambda o: S.SequentialLR(o, [S.ConstantLR(o, 0.1, 20), S.ExponentialLR(o, 0.9)], [20]),
)
case(
    "SequentialLR LinearLR 0.1 1 10, CosineAnnealingLR 30 0.02, StepLR 5 0.5; 10 41", 0.3, 80,
    lambda o: S.SequentialLR(
        o, [S.LinearLR(o, 0.1, 1, 10), S.CosineAnnealingLR(o, 30, 0.02), S.StepLR(o, 5, 0.5)], [10, 41]
    ),
)


def bumpy(t):
    return round(2 * math.exp(-t / 12) + 0.05 * ((t * 37) % 11) / 10, 4)


case("ReduceLROnPlateau defaults", 0.1, 100, lambda o: S.ReduceLROnPlateau(o), lambda t: round(2 * math.exp(-t / 5) + 0.3, 4))
case(
    "ReduceLROnPlateau 0.5 3 0.05 cooldown 4 min_lr 0.004", 0.1, 100,
    lambda o: S.ReduceLROnPlateau(o, factor=0.5, patience=3, threshold=0.05, cooldown=4, min_lr=0.004),
    bumpy,
)
case(
    "ReduceLROnPlateau 0.7 2 0.02 abs eps 0.005", 0.1, 100,
    lambda o: S.ReduceLROnPlateau(o, factor=0.7, patience=2, threshold=0.02, threshold_mode="abs", eps=0.005),
    bumpy,
)
case(
    "ReduceLROnPlateau 0.8 0 0.01 max", 0.1, 100,
    lambda o: S.ReduceLROnPlateau(o, "max", factor=0.8, patience=0, threshold=0.01),
    lambda t: round(1 - bumpy(t) / 3, 4),
)
case(
    "ReduceLROnPlateau 0.8 4 0.03 max abs", 0.1, 100,
    lambda o: S.ReduceLROnPlateau(o, "max", factor=0.8, patience=4, threshold=0.03, threshold_mode="abs"),
    lambda t: -bumpy(t),
)

lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
print(f'{{"torch": "{torch.__version__}", "cases": [\n{lines}\n]}}')
