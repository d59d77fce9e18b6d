"""Files that `splat convert` writes, read by third-party programs, with every number compared.

    SPLAT_BIN=target/debug/splat target/tools/bin/python tests/readers/readers.py

A made-up scene is written by plyfile, converted to every form, and each form read by every reader that knows it: splat-transform
(PlayCanvas), gsply, spz (Rust, in Python), plyfile, and for glTF the validator of Khronos and the accessors themselves. Each number
must lie within the form's own step of the original's.
"""

import importlib.util
import json
import os
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import gsply
import numpy as np
from plyfile import PlyData, PlyElement

HERE = Path(__file__).parent
SPLAT = os.path.abspath(os.environ.get("SPLAT_BIN", HERE / "../../target/debug/splat"))
# At most 1,024 Gaussians, so that each has its own entry in a SOG's palette.
SIDE, SPACING = 10, 0.5
BYTE = 0.5 / 255 + 1e-5
# Tolerances of each format: positions, log-scales, opacities, f_dc, f_rest, rotations (1 - |cos| of half the angle).
STEPS = {
    "ply": (0, 0, 1e-6, 0, 0, 1e-6),
    "compressed.ply": (6 / 1023 / 2, 0.003, BYTE, 0.01, 1 / 64 + 1e-6, 1e-5),
    "v2.spz": (1 / 4096, 1 / 32 + 1e-5, BYTE, 0.5 / 255 / 0.15 + 1e-4, 1 / 128 + 1e-6, 2e-4),
    "v3.spz": (1 / 4096, 1 / 32 + 1e-5, BYTE, 0.5 / 255 / 0.15 + 1e-4, 1 / 128 + 1e-6, 1e-5),
    "v4.spz": (1 / 4096, 1 / 32 + 1e-5, BYTE, 0.5 / 255 / 0.15 + 1e-4, 1 / 128 + 1e-6, 1e-5),
    "sog": (2e-4, 0.02, BYTE, 0.03, 0.01, 1e-4),
    "splat": (0, 2e-6, BYTE, 0.5 / 255 / 0.28 + 1e-4, None, 2e-4),
    "glb": (0, 2e-6, 1e-6, 0, 0, 1e-6),
}


class Cloud:
    """Values as in a PLY, one row per Gaussian: w,x,y,z; log-scales; logits; f_rest by channel."""

    def __init__(self, means, quats, scales, logits, dc, rest):
        self.means, self.scales, self.logits, self.dc = (np.asarray(a, np.float64) for a in (means, scales, logits, dc))
        self.quats = np.asarray(quats, np.float64)
        self.quats = self.quats / np.linalg.norm(self.quats, axis=1, keepdims=True)
        self.rest = np.asarray(rest, np.float64)

    def ordered(self):
        """Sorted by grid cell, since some formats change the order."""
        cell = np.rint(self.means / SPACING).astype(int) + SIDE
        order = np.lexsort(cell.T)
        return Cloud(*(a[order] for a in (self.means, self.quats, self.scales, self.logits, self.dc, self.rest)))

    def turned(self, axis):
        """Rotated by half a turn about an axis (0 to 2): from the axes of another format to x right, y down, z forward, or back."""
        signs = np.where(np.arange(3) == axis, 1, -1)
        x, y, z = signs
        # The sign of each basis function follows from its factors: y, z, x; xy, yz, z2, xz, x2-y2; y, xyz, y, z, x, z, x without even powers.
        harmonics = np.array([y, z, x, x * y, y * z, 1, x * z, 1, y, x * y * z, y, z, x, z, x])[: self.rest.shape[1] // 3]
        rest = self.rest.reshape(len(self.rest), 3, -1) * harmonics
        quats = self.quats * np.concatenate([[1], signs])
        return Cloud(self.means * signs, quats, self.scales, self.logits, self.dc, rest.reshape(len(rest), -1))


def made_up():
    random = np.random.default_rng(3)
    axis = (np.arange(SIDE) - SIDE // 2) * SPACING
    means = np.stack(np.meshgrid(axis, axis, axis), -1).reshape(-1, 3)
    means = means + random.uniform(-0.1, 0.1, means.shape)
    count = len(means)
    return Cloud(
        means.astype(np.float32),
        random.normal(size=(count, 4)),
        random.uniform(-6, -2, (count, 3)).astype(np.float32),
        random.uniform(-4, 4, count).astype(np.float32),
        random.uniform(-1.5, 1.5, (count, 3)).astype(np.float32),
        random.uniform(-0.3, 0.3, (count, 45)).astype(np.float32),
    )


def write_ply(cloud, path):
    columns = {f"f_dc_{i}": cloud.dc[:, i] for i in range(3)}
    columns |= {name: cloud.means[:, i] for i, name in enumerate("xyz")}
    columns |= {f"f_rest_{i}": cloud.rest[:, i] for i in range(cloud.rest.shape[1])}
    columns |= {"opacity": cloud.logits}
    columns |= {f"scale_{i}": cloud.scales[:, i] for i in range(3)}
    columns |= {f"rot_{i}": cloud.quats[:, i] for i in range(4)}
    rows = np.zeros(len(cloud.means), [(name, "<f4") for name in columns])
    for name, values in columns.items():
        rows[name] = values
    PlyData([PlyElement.describe(rows, "vertex")]).write(str(path))


def of_columns(column, names):
    rest = [name for name in names if name.startswith("f_rest_")]
    many = lambda prefix, count: np.stack([column(f"{prefix}_{i}") for i in range(count)], 1)
    return Cloud(
        np.stack([column(name) for name in "xyz"], 1),
        many("rot", 4),
        many("scale", 3),
        column("opacity"),
        many("f_dc", 3),
        many("f_rest", len(rest)) if rest else np.zeros((len(column("x")), 0)),
    )


def by_plyfile(path):
    vertex = PlyData.read(str(path))["vertex"]
    return of_columns(lambda name: vertex[name], [p.name for p in vertex.properties])


def by_splat_transform(path):
    table = path.with_suffix(path.suffix + ".csv")
    program = HERE / "node_modules/.bin/splat-transform"
    subprocess.run([program, "-q", "-w", path, table], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    values = np.genfromtxt(table, delimiter=",", names=True)
    return of_columns(lambda name: values[name], values.dtype.names)


def by_gsply(path):
    spz = path.suffix == ".spz"
    data = gsply.read_spz(path) if spz else gsply.plyread(path)
    count = len(data.means)
    # Coefficients by order, not by channel.
    rest = np.asarray(data.shN).reshape(count, -1, 3).transpose(0, 2, 1).reshape(count, -1)
    cloud = Cloud(data.means, data.quats, data.scales, data.opacities, data.sh0, rest)
    # It does not convert SPZ's axes.
    return cloud.turned(0) if spz else cloud


def by_spz(path):
    # The package's __init__ imports itself, so its extension module is imported directly.
    package = Path(importlib.util.find_spec("spz").origin).parent
    spec = importlib.util.spec_from_file_location("spz", next(package.glob("spz.*.so")))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    data = module.load(str(path))
    count = data.num_points
    rest = np.asarray(data.spherical_harmonics).reshape(count, -1, 3).transpose(0, 2, 1).reshape(count, -1)
    x, y, z, w = np.asarray(data.rotations).reshape(count, 4).T
    part = lambda values: np.asarray(values).reshape(count, -1)
    cloud = Cloud(part(data.positions), np.stack([w, x, y, z], 1), part(data.scales), np.asarray(data.alphas), part(data.colors), rest)
    return cloud.turned(0)


def by_accessors(path):
    report = subprocess.run(["node", HERE / "validate.mjs", path], check=True, capture_output=True, text=True)
    report = json.loads(report.stdout)
    # It does not support the extension and reports its attribute names as errors, also in the extension's own samples.
    unknown = lambda message: "/attributes/KHR_gaussian_splatting:" in message.get("pointer", "")
    wrong = [message for message in report["messages"] if message["severity"] == 0 and not unknown(message)]
    assert not wrong, f"the validator says {wrong}"
    content = path.read_bytes()
    (length,) = struct.unpack_from("<I", content, 12)
    document, binary = json.loads(content[20 : 20 + length]), content[20 + length + 8 :]
    (primitive,) = document["meshes"][0]["primitives"]
    width = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}

    def values(name):
        accessor = document["accessors"][primitive["attributes"][name]]
        assert accessor["componentType"] == 5126, f"{name} is not of floats"
        view = document["bufferViews"][accessor["bufferView"]]
        start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
        row = width[accessor["type"]]
        stride = view.get("byteStride", row * 4)
        return np.ndarray((accessor["count"], row), "<f4", binary, start, (stride, 4))

    own = "KHR_gaussian_splatting:"
    x, y, z, w = values(own + "ROTATION").T
    opacity = np.clip(values(own + "OPACITY")[:, 0].astype(np.float64), 1e-9, 1 - 1e-9)
    harmonics = [(degree, n) for degree in range(1, 4) for n in range(2 * degree + 1)]
    rest = np.stack([values(f"{own}SH_DEGREE_{degree}_COEF_{n}") for degree, n in harmonics], 2)
    cloud = Cloud(
        values("POSITION"),
        np.stack([w, x, y, z], 1),
        np.log(values(own + "SCALE")),
        np.log(opacity / (1 - opacity)),
        values(own + "SH_DEGREE_0_COEF_0"),
        rest.reshape(len(rest), -1),
    )
    # glTF's axes: x left, y up, z forward; no node rotates them.
    assert all(set(node) <= {"mesh", "name"} for node in document["nodes"]), document["nodes"]
    return cloud.turned(2)


READERS = {
    "ply": [by_plyfile, by_gsply, by_splat_transform],
    "compressed.ply": [by_gsply, by_splat_transform],
    "v2.spz": [by_spz, by_splat_transform],
    "v3.spz": [by_gsply, by_spz, by_splat_transform],
    "v4.spz": [by_splat_transform],
    "sog": [by_splat_transform],
    "splat": [by_splat_transform],
    "glb": [by_accessors],
}


def differences(original, found):
    sigmoid = lambda logits: 1 / (1 + np.exp(-logits))
    most = lambda a, b: np.abs(a - b).max(initial=0)
    # A Gaussian is the same after half a turn about one of its axes.
    w, x, y, z = original.quats.T
    equal = [(w, x, y, z), (-x, w, z, -y), (-y, -z, w, x), (-z, y, -x, w)]
    half_angles = np.max([np.abs((np.stack(quat, 1) * found.quats).sum(1)) for quat in equal], 0)
    rest = None if found.rest.shape[1] == 0 else most(original.rest, found.rest)
    return (
        most(original.means, found.means),
        most(original.scales, found.scales),
        most(sigmoid(original.logits), sigmoid(found.logits)),
        most(original.dc, found.dc),
        rest,
        (1 - half_angles).max(),
    )


def main():
    original, failed, compared = made_up(), [], 0
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source.ply"
        write_ply(original, source)
        expected = original.ordered()
        for form, readers in READERS.items():
            path = Path(folder) / f"scene.{form}"
            version = ["--spz-version", form[1]] if form.endswith("spz") else []
            subprocess.run([SPLAT, "convert", source, path, "-q", *version], check=True, capture_output=True)
            for reader in readers:
                name = f"{form} {reader.__name__}"
                try:
                    found = reader(path).ordered()
                    assert len(found.means) == len(expected.means), f"{len(found.means)} Gaussians"
                    off = differences(expected, found)
                    wrong = [(got, most) for got, most in zip(off, STEPS[form]) if (got is None) != (most is None) or got is not None and got > most + 1e-7]
                    assert not wrong, f"off by {off} of {STEPS[form]}"
                    print(f"{name}: as written, within {', '.join('-' if value is None else f'{value:.2g}' for value in off)}")
                except Exception as error:
                    failed.append(name)
                    print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
                compared += 1
    if failed or compared < 12:
        sys.exit(f"{len(failed)} of {compared} readings fail: {', '.join(failed)}")


if __name__ == "__main__":
    main()
