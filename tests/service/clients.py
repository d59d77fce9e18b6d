"""Common clients against the running service: tuspy and tus-js-client over a connection that drops, curl, plyfile.

    target/tools/bin/python tests/service/clients.py [DROPS]

Each resumable upload is a zip of photos, which arrives whole although the connection drops DROPS times (20) on its way.
"""

import contextlib
import json
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import zipfile

from plyfile import PlyData
from tusclient.client import TusClient

from running import png, service

DROPS = int(sys.argv[1]) if len(sys.argv) > 1 else 20
HERE = pathlib.Path(__file__).resolve().parent


class Dropping:
    """A proxy to the service that drops connections after a number of bytes, a number of times, and is reliable afterwards."""

    def __init__(self, url, drops, after):
        self.target = ("127.0.0.1", int(url.rsplit(":", 1)[1]))
        self.drops, self.after, self.dropped = drops, after, 0
        listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        threading.Thread(target=self.accept, args=[listener], daemon=True).start()

    def accept(self, listener):
        while True:
            client, _ = listener.accept()
            threading.Thread(target=self.connection, args=[client], daemon=True).start()

    def connection(self, client):
        with client, socket.create_connection(self.target) as server:
            threading.Thread(target=pump, args=[server, client], daemon=True).start()
            sent = 0
            with contextlib.suppress(OSError):
                while piece := client.recv(16384):
                    sent += len(piece)
                    if sent > self.after and self.dropped < self.drops:
                        self.dropped += 1
                        break
                    server.sendall(piece)
            for side in (client, server):
                if self.dropped % 2:
                    # Half of the drops are resets, the others orderly closes.
                    side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                with contextlib.suppress(OSError):
                    side.shutdown(socket.SHUT_RDWR)


def pump(source, target):
    with contextlib.suppress(OSError):
        while piece := source.recv(16384):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)


def ask(url, body=None):
    request = urllib.request.Request(url, None if body is None else json.dumps(body).encode())
    request.add_header("content-type", "application/json")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def job_of(url, upload, photos):
    """A job with this upload has all its photos and succeeds."""
    job = ask(f"{url}/v1/jobs", {"uploads": [upload.rsplit("/", 1)[1]], "options": {"test": {"stage_ms": 0}}})
    assert len(job["photos"]) == photos, job
    until = time.monotonic() + 30
    while job["state"] in ("queued", "running") and time.monotonic() < until:
        time.sleep(0.1)
        job = ask(f"{url}/v1/jobs/{job['id']}")
    assert job["state"] == "succeeded", job


def album(path, photos):
    """A zip of incompressible pictures."""
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(photos):
            archive.writestr(f"p{number:02}.png", png(number, 500, 400, noise=True))
    return path.stat().st_size


def tuspy(url, path, photos, size):
    way = Dropping(url, DROPS, size // (DROPS + 2))
    client = TusClient(f"{way.url}/v1/uploads")
    uploader = client.uploader(str(path), retries=DROPS + 10, retry_delay=0.05, metadata={"filename": "photos.zip"})
    uploader.upload()
    assert way.dropped == DROPS, way.dropped
    job_of(url, uploader.url, photos)


def tus_js(url, path, photos, size):
    way = Dropping(url, DROPS, size // (DROPS + 2))
    command = ["node", "upload.mjs", f"{way.url}/v1/uploads", str(path)]
    done = subprocess.run(command, cwd=HERE, stdout=subprocess.PIPE, text=True, timeout=60, check=True)
    assert way.dropped == DROPS, way.dropped
    job_of(url, done.stdout.strip(), photos)


def curl(url, folder):
    arguments = []
    for number in range(20):
        photo = folder / f"IMG_{number:04}.png"
        photo.write_bytes(png(number))
        arguments += ["-F", f"images=@{photo}"]
    ply = folder / "scene.ply"
    command = ["curl", "--silent", "--show-error", "--fail-with-body", "-o", str(ply), *arguments]
    subprocess.run([*command, f"{url}/process_images?iterations=300"], check=True, timeout=60)
    scene = PlyData.read(str(ply))
    vertex = scene["vertex"]
    names = {field.name for field in vertex.properties}
    wanted = {"x", "y", "z", "f_dc_0", "opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"}
    assert wanted <= names, wanted - names
    assert vertex.count == 2000 and abs(vertex["x"]).max() <= 1, vertex.count


with service() as (url, _, _), tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    photos = 12
    size = album(folder / "photos.zip", photos)
    for what, run in [
        (f"tuspy: {size} bytes over {DROPS} drops", lambda: tuspy(url, folder / "photos.zip", photos, size)),
        (f"tus-js-client: {size} bytes over {DROPS} drops", lambda: tus_js(url, folder / "photos.zip", photos, size)),
        ("curl: 20 photos in, a PLY out that plyfile reads", lambda: curl(url, folder)),
    ]:
        begun = time.monotonic()
        run()
        print(f"ok: {what} ({time.monotonic() - begun:.1f} s)", flush=True)
