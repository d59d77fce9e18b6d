"""Sixty jobs through thirty random kills and a bucket at 20 kB/s: sixty results.

    target/tools/bin/python tests/service/kills.py [--jobs 60] [--kills 30] [--rate 20000] [--seed 1]

In full on demand, four minutes; small in every run of the tests. A server and two workers share a queue in Redis and files in a bucket (moto's S3, behind a connection that is slowed
down); `kill -9` falls on any of the three or on a job's process, and what was killed is started again, but for jobs.
"""

import argparse
import asyncio
import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sysconfig
import tempfile
import threading
import time
import urllib.request

import aiohttp

from running import png, program

parser = argparse.ArgumentParser()
parser.add_argument("--jobs", type=int, default=60)
parser.add_argument("--kills", type=int, default=30)
parser.add_argument("--rate", type=int, default=20_000, help="bytes per second of each connection to the bucket")
parser.add_argument("--seed", type=int, default=1)
options = parser.parse_args()
PATIENCE_S = 3600


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Slow:
    """A proxy to a port that forwards a limited number of bytes per second in each direction."""

    def __init__(self, target, rate):
        self.target, self.rate = target, rate
        listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = listener.getsockname()[1]
        threading.Thread(target=self.accept, args=[listener], daemon=True).start()

    def accept(self, listener):
        while True:
            client, _ = listener.accept()
            server = socket.create_connection(("127.0.0.1", self.target))
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self.pump, args=[source, sink], daemon=True).start()

    def pump(self, source, sink):
        with contextlib.suppress(OSError):
            while piece := source.recv(4096):
                sink.sendall(piece)
                time.sleep(len(piece) / self.rate)
        for side in (source, sink):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)


class Fleet:
    """The server and the workers, each with its own folder."""

    def __init__(self, folder, environment):
        self.folder, self.environment, self.port = folder, environment, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        terms = ["--test-mode", "--disk-floor-mib", "1", "--lease-s", "6", "--max-attempts", "6"]
        self.commands = {
            "server": ["serve", "--no-worker", "--bind", f"127.0.0.1:{self.port}", *terms],
            "worker a": ["worker", "--scene-slots", "3", *terms],
            "worker b": ["worker", "--scene-slots", "3", *terms],
        }
        self.running = {name: self.start(name) for name in self.commands}

    def start(self, name):
        data = self.folder / name.replace(" ", "-")
        command = [program(), *self.commands[name], "--data-dir", str(data)]
        return subprocess.Popen(command, env=self.environment, stdout=subprocess.DEVNULL)

    def job_processes(self):
        """Processes of jobs, which are children of workers."""
        workers = {process.pid for name, process in self.running.items() if name != "server"}
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError, IndexError):
                if entry.name.isdigit() and int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1]) in workers:
                    found.append(int(entry.name))
        return found

    def kill(self, choice):
        victim = choice.choice([*self.commands, "job", "job", "job"])
        if victim == "job":
            processes = self.job_processes()
            if not processes:
                return None
            with contextlib.suppress(ProcessLookupError):
                os.kill(choice.choice(processes), signal.SIGKILL)
            return victim
        self.running[victim].kill()
        self.running[victim].wait()
        self.running[victim] = self.start(victim)
        return victim

    def stop(self):
        for process in self.running.values():
            process.terminate()
        for process in self.running.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()


async def patiently(request):
    """Retries, since the server may be down and responses may be lost."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return await request()
        except (aiohttp.ClientError, asyncio.TimeoutError, ConnectionError):
            assert time.monotonic() < until, "the server does not come back"
            await asyncio.sleep(0.3)


async def submit(session, url, number):
    async def once():
        form = aiohttp.FormData()
        for photo in range(3):
            form.add_field("images", png(3 * number + photo), filename=f"{photo}.png")
        form.add_field("test", json.dumps({"stage_ms": 300, "gaussians": 100 + number}))
        # With an idempotency key, so that a lost response creates no second job.
        async with session.post(f"{url}/v1/jobs", data=form, headers={"idempotency-key": f"job {number}"}) as answer:
            if answer.status >= 500:
                raise aiohttp.ClientConnectionError(str(answer.status))
            assert answer.status == 202, await answer.text()
            return (await answer.json())["id"]

    return await patiently(once)


async def get(session, url, read):
    async def once():
        async with session.get(url) as answer:
            if answer.status >= 500:
                raise aiohttp.ClientConnectionError(str(answer.status))
            assert answer.status == 200, (url, answer.status, await answer.text())
            return await read(answer)

    return await patiently(once)


async def main(fleet):
    choice, begun = random.Random(options.seed), time.monotonic()
    timeout = aiohttp.ClientTimeout(total=120)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        submitted = asyncio.gather(*[submit(session, fleet.url, number) for number in range(options.jobs)])
        killed = {}
        while sum(killed.values()) < options.kills:
            await asyncio.sleep(choice.uniform(1, 6))
            if victim := await asyncio.to_thread(fleet.kill, choice):
                killed[victim] = killed.get(victim, 0) + 1
        jobs = await submitted
        assert len(set(jobs)) == options.jobs, "a submission made two jobs"
        for number, job in enumerate(jobs):
            while True:
                status = await get(session, f"{fleet.url}/v1/jobs/{job}", lambda answer: answer.json())
                if status["state"] not in ("queued", "running"):
                    break
                assert time.monotonic() - begun < PATIENCE_S, status
                await asyncio.sleep(1)
            assert status["state"] == "succeeded", status
            scene = await get(session, f"{fleet.url}/v1/jobs/{job}/artifacts/scene.ply", lambda answer: answer.read())
            size = next(file["bytes"] for file in status["artifacts"] if file["name"] == "scene.ply")
            assert len(scene) == size and f"element vertex {100 + number}\n".encode() in scene, (job, len(scene), size)
    victims = ", ".join(f"{count} of {victim}" for victim, count in sorted(killed.items()))
    print(f"ok: {len(jobs)} jobs, {len(jobs)} results, {sum(killed.values())} kills ({victims}) in {time.monotonic() - begun:.0f} s")


with tempfile.TemporaryDirectory(prefix="splat-kills-") as folder, contextlib.ExitStack() as stack:
    folder = pathlib.Path(folder)
    redis, moto = free_port(), free_port()
    for command in (
        [shutil.which("redis-server") or "redis-server", "--port", str(redis), "--bind", "127.0.0.1", "--dir", str(folder), "--appendonly", "yes", "--loglevel", "warning"],
        [os.path.join(sysconfig.get_path("scripts"), "moto_server"), "-p", str(moto)],
    ):
        process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        stack.callback(process.terminate)
    until = time.monotonic() + 60
    for port in (redis, moto):
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert time.monotonic() < until, "Redis or the bucket does not start"
            time.sleep(0.2)

    urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{moto}/splat", method="PUT"), timeout=30).close()
    environment = {
        **os.environ,
        "SPLAT_LOG": "error",
        "REDIS_URL": f"redis://127.0.0.1:{redis}/0",
        "STORE_URL": "s3://splat/jobs",
        "AWS_ENDPOINT": f"http://127.0.0.1:{Slow(moto, options.rate).port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "splat",
        "AWS_SECRET_ACCESS_KEY": "splat",
    }
    environment.pop("SPLAT_CONFIG", None)
    fleet = Fleet(folder, environment)
    stack.callback(fleet.stop)
    asyncio.run(main(fleet))
