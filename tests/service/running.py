"""A `splat serve` process for tests, and small pictures for it."""

import contextlib
import json
import os
import pathlib
import signal
import struct
import subprocess
import tempfile
import zlib

import aiohttp

ROOT = pathlib.Path(__file__).resolve().parents[2]


def program():
    """The binary under test."""
    return os.environ.get("SPLAT_BIN", str(ROOT / "target/debug/splat"))


@contextlib.contextmanager
def service(*options, test_mode=True):
    """Yields the URL, the data folder and the process, and removes them afterwards."""
    with tempfile.TemporaryDirectory(prefix="splat-service-") as folder:
        command = [program(), "serve", "--json", "--bind", "127.0.0.1:0", "--disk-floor-mib", "1"]
        command += ["--test-mode"] if test_mode else []
        environment = {**os.environ, "SPLAT_LOG": "error"}
        environment.pop("SPLAT_CONFIG", None)
        process = subprocess.Popen(
            [*command, "--data-dir", folder, *options], stdout=subprocess.PIPE, env=environment, text=True
        )
        try:
            url = json.loads(process.stdout.readline())["url"]
            yield url, pathlib.Path(folder), process
            if process.poll() is not None:
                raise SystemExit(f"error: the service ended by itself, with code {process.returncode}")
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def photos_form(folder, **fields):
    """A submission of the photos in a folder."""
    form = aiohttp.FormData(fields)
    for photo in sorted(folder.iterdir()):
        if photo.suffix.lower() in (".jpg", ".jpeg", ".png"):
            form.add_field("images", photo.read_bytes(), filename=photo.name)
    return form


def processor_seconds(process):
    """CPU time of the service's own process since its start."""
    with open(f"/proc/{process.pid}/stat") as file:
        user, system = file.read().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def resident(process, field="VmRSS"):
    """Memory of the service's own process in MiB, without the processes of jobs."""
    with open(f"/proc/{process.pid}/status") as lines:
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{field}:"))


def forget_peak(process):
    """Resets the peak (`VmHWM`) that `resident` reads."""
    with open(f"/proc/{process.pid}/clear_refs", "w") as file:
        file.write("5")


def png(number, width=160, height=120, noise=False):
    """A picture that depends on its number; `noise` makes it incompressible."""
    if noise:
        import random

        source = random.Random(number)
        rows = b"".join(b"\0" + source.randbytes(3 * width) for _ in range(height))
    else:
        rows = b"".join(
            b"\0" + bytes(part for x in range(width) for part in ((x + number) & 255, y & 255, (x * y + number) & 255))
            for y in range(height)
        )

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    packed = zlib.compress(rows, 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
