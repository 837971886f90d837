"""Writes golden.json: files that NumPy wrote, and what is in them.

    python golden.py > golden.json

Bytes are in base64; numbers are those of NumPy's astype(float32), little-endian and in C
order.

read are .npy files of all types, both byte orders, C and Fortran order and three versions
of the format; written are those that numpy.save makes of float32; npz are those of
numpy.savez and numpy.savez_compressed. csv is a table with the means, standard deviations
and inputs that NumPy makes of its columns in float64.

    python golden.py FILE.npz

prints what numpy.load finds in a file, by which one of another writer can be tried.
"""

import base64
import io
import json
import sys

import numpy as np

if len(sys.argv) > 1:
    with np.load(sys.argv[1]) as arrays:
        for name, a in arrays.items():
            print(name, a.dtype, a.shape, a.ravel().tolist())
    sys.exit()


def text(b):
    return base64.b64encode(b).decode()


def numbers(a):
    with np.errstate(invalid="ignore"):
        x = np.ascontiguousarray(a).astype("<f4")
    return {"shape": list(a.shape), "x": text(x.tobytes())}


def npy(a, version=None):
    f = io.BytesIO()
    if version is None:
        np.save(f, a)
    else:
        np.lib.format.write_array(f, a, version=version)
    return text(f.getvalue())


rng = np.random.Generator(np.random.PCG64(20251125))
values = {
    "f2": [0, -0.0, 1, -2.5, 65504, 6e-8, 6.1e-5, 1 / 3, np.inf, -np.inf, np.nan, -6e-8],
    "f4": [0, -0.0, 1, -2.5, 3.4028235e38, 1e-45, 1.1754944e-38, 1 / 3, np.inf, -np.inf, np.nan, 16777217],
    "f8": [0, -0.0, 1, -2.5, 3.4028235e38, 7.1e-46, 7e-46, 1 / 3, np.inf, -np.inf, np.nan, 16777217],
    "b1": [0, 1, 1, 0, 1, 0, 0, 0, 1, 1, 1, 1],
}
for kind in "iu":
    for size in (1, 2, 4, 8):
        info = np.iinfo(f"{kind}{size}")
        odd = [v for v in (2**24 + 1, 2**24 + 3, 2**31 - 65, 2**40 + 2**16 + 1, 2**62 + 2**38 + 1) if v <= info.max]
        some = [0, 1, info.min, info.max, 100] + odd
        values[f"{kind}{size}"] = some + [7] * (12 - len(some))

read = []


def add(name, a, version=None):
    read.append({"name": name, "npy": npy(a, version), **numbers(a)})


for kind, v in values.items():
    for order in "<>" if kind[1] != "1" else "|":
        a = np.array(v).astype(order + kind) if kind in ("f4", "f8", "f2", "b1") else np.array(v, dtype=order + kind)
        add(f"{order}{kind}", a)
        add(f"{order}{kind} in Fortran order", np.asfortranarray(a.reshape(3, 4)))
for shape in [(), (1,), (0,), (3, 0, 2), (1, 1), (2, 3, 4), (1,) * 64]:
    a = rng.standard_normal(shape).astype(np.float32)
    a = np.asarray(a)
    add(f"shape {shape}", a)
    if len(shape) > 1:
        add(f"shape {shape} in Fortran order", np.asfortranarray(a))
add("transposed", np.arange(24, dtype=np.float64).reshape(2, 3, 4).transpose(2, 0, 1))
for version in (1, 0), (2, 0), (3, 0):
    add(f"version {version[0]}", np.arange(6, dtype=np.float32).reshape(2, 3), version)

# Of 36 dimensions, the header needs no padding, of which NumPy then writes 64 bytes.
written = []
for shape in [(), (1,), (0,), (2, 3), (3, 0, 2), (1234567, 0), (5, 1, 2, 2), (1,) * 36, (1,) * 64]:
    a = np.asarray(rng.standard_normal(shape).astype(np.float32))
    written.append({"npy": npy(a), **numbers(a)})
written.append({"npy": npy(np.array(values["f4"], np.float32)), **numbers(np.array(values["f4"], np.float32))})

npz = []
arrays = {
    "x": rng.standard_normal((4, 3)).astype(np.float32),
    "labels": np.array([0, 2, 1, 2]),
    "dir/ü": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
}
for save in np.savez, np.savez_compressed:
    f = io.BytesIO()
    save(f, **arrays)
    npz.append({"name": save.__name__, "npz": text(f.getvalue()), "arrays": {k: numbers(a) for k, a in arrays.items()}})

# x is near 1e9, where a sum of squares without the mean would be wrong.
rows = [(v, 1e9 + v / 3, "abc"[i % 3], i % 2) for i, v in enumerate(rng.standard_normal(10).round(3).tolist())]
columns = np.array([r[:2] for r in rows])
mean, std = columns.mean(0), columns.std(0)
onehot = np.array([[r[2] == c for c in "abc"] for r in rows], np.float64)
csv = {
    "text": "x,far,letter,class\n" + "".join(f"{a!r},{b!r},{c},{d}\n" for a, b, c, d in rows),
    "mean": mean.tolist(),
    "std": std.tolist(),
    **numbers(np.concatenate([(columns - mean) / std, onehot], 1)),
}

json.dump({"numpy": np.__version__, "read": read, "written": written, "npz": npz, "csv": csv}, sys.stdout, indent=0)
print()
