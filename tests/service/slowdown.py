"""Cost of a thousand clients during a training: 500 that poll its status every second and 500 event streams; or a viewer who drags.

    target/tools/bin/python tests/service/slowdown.py PHOTOS [--windows 6] [--seconds 30]
    target/tools/bin/python tests/service/slowdown.py PHOTOS --looks [--windows 6] [--seconds 30]

Trains on the photos in a folder, for real (COLMAP and GPU), and looks at the rate of steps in windows with and without clients, in
turn, so that a drift falls on both. Clients and service share the processors here, so the processor seconds of each
are printed too. SPLAT_BIN should be a release build, which trains as users do.
"""

import argparse
import asyncio
import math
import pathlib
import resource
import statistics
import time
import urllib.parse

import aiohttp

from running import photos_form, processor_seconds, service

parser = argparse.ArgumentParser()
parser.add_argument("photos", type=pathlib.Path)
parser.add_argument("--windows", type=int, default=6, help="with clients; one more without")
parser.add_argument("--seconds", type=float, default=30.0, help="of each window")
parser.add_argument("--clients", type=int, default=500, help="of each kind")
parser.add_argument("--looks", action="store_true", help="instead of clients, one viewer who orbits the scene, requesting one picture after the other")
options = parser.parse_args()


class Poller(asyncio.Protocol):
    """Polls once per second over one connection. Written by hand: a client library would use more CPU than the service."""

    def __init__(self, request, times):
        self.request, self.times, self.answer, self.failed = request, times, bytearray(), False

    def connection_made(self, transport):
        self.transport = transport

    def ask(self):
        self.begun = time.monotonic()
        self.transport.write(self.request)

    def data_received(self, data):
        self.answer += data
        head = self.answer.find(b"\r\n\r\n")
        if head < 0:
            return
        at = self.answer.find(b"content-length: ")
        if len(self.answer) < head + 4 + int(self.answer[at + 16 : self.answer.find(b"\r", at)]):
            return
        self.times.append(time.monotonic() - self.begun)
        self.failed |= not self.answer.startswith(b"HTTP/1.1 200")
        self.answer.clear()


class Stream(asyncio.Protocol):
    def __init__(self, request):
        self.request, self.bytes = request, 0

    def connection_made(self, transport):
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data):
        self.bytes += len(data)


async def crowd(url, job, seconds):
    """Runs the clients for a time, and returns the response times."""
    address = urllib.parse.urlsplit(url)
    loop, times = asyncio.get_running_loop(), []

    def request(path):
        return f"GET {path} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode()

    pollers, streams = [], []
    for _ in range(options.clients):
        poll, listen = request(f"/v1/jobs/{job}"), request(f"/v1/jobs/{job}/events?after=1000000000")
        made = await loop.create_connection(lambda: Poller(poll, times), address.hostname, address.port)
        pollers.append(made[1])
        made = await loop.create_connection(lambda: Stream(listen), address.hostname, address.port)
        streams.append(made[1])
    end, turn = time.monotonic() + seconds, 0
    while (now := time.monotonic()) < end:
        pollers[turn % len(pollers)].ask()
        turn += 1
        await asyncio.sleep(max(0, end - seconds + turn / len(pollers) - now))
    await asyncio.sleep(1)
    assert not any(poller.failed for poller in pollers) and len(times) == turn, (len(times), turn)
    assert all(stream.bytes > 0 for stream in streams)
    for one in pollers + streams:
        one.transport.close()
    return times


async def looks(url, job, seconds):
    """A viewer who orbits the scene for `seconds`, with pictures of the page's size. Returns the latencies of all pictures."""
    times, end = [], time.monotonic() + seconds
    async with aiohttp.ClientSession() as session:
        while (begun := time.monotonic()) < end:
            angle = 0.05 * len(times)
            c, s = math.cos(angle), math.sin(angle)
            camera = {"position": [-s * 4, 0, -c * 4], "rotation": [[c, 0, -s], [0, 1, 0], [s, 0, c]]}
            async with session.post(f"{url}/v1/jobs/{job}/look", json={"camera": camera, "longest_side": 640}) as answer:
                assert answer.status == 200, await answer.text()
                assert len(await answer.read()) > 1000
            times.append(time.monotonic() - begun)
    return times


async def measure(url, process):
    async with aiohttp.ClientSession() as session:
        form = photos_form(options.photos, preset="preview", iterations="30000", max_gaussians="10000")
        async with session.post(f"{url}/v1/jobs", data=form) as answer:
            assert answer.status == 202, await answer.text()
            job = (await answer.json())["id"]

        async def now():
            async with session.get(f"{url}/v1/jobs/{job}") as answer:
                body = await answer.json()
            assert body["state"] in ("queued", "running"), body
            return body["progress"].get("step") or 0, time.monotonic()

        async def rate(work):
            """Steps per second meanwhile, from one step event to another."""
            begun = await now()
            result = await work
            step, at = await now()
            return (step - begun[0]) / (at - begun[1]), result

        while (await now())[0] < 500:
            await asyncio.sleep(1)
        quiet, busy, times, spent, own = [], [], [], 0.0, 0.0
        quiet.append((await rate(asyncio.sleep(options.seconds)))[0])
        for _ in range(options.windows):
            before, mine = processor_seconds(process), time.process_time()
            steps, answers = await rate((looks if options.looks else crowd)(url, job, options.seconds))
            spent += processor_seconds(process) - before
            own += time.process_time() - mine
            busy.append(steps)
            times += answers
            quiet.append((await rate(asyncio.sleep(options.seconds)))[0])
        async with session.delete(f"{url}/v1/jobs/{job}"):
            pass
    times.sort()
    # Steps take longer as the scene grows, so each window is compared with the mean of its neighbours.
    ratios = [b / math.sqrt(before * after) for before, b, after in zip(quiet, busy, quiet[1:])]
    wall = options.windows * options.seconds
    without, during = (" ".join(f"{rate:.2f}" for rate in rates) for rates in (quiet, busy))
    print(f"steps per second without clients {without}, with {during}")
    what = "pictures" if options.looks else "answers"
    print(
        f"{len(times)} {what}, no error; p50 {1000 * times[len(times) // 2]:.1f} ms, p99 {1000 * times[len(times) * 99 // 100]:.1f} ms; "
        f"training at {100 * statistics.median(ratios):.1f} % of its rate (median of {len(ratios)} windows); "
        f"of a processor the service took {100 * spent / wall:.1f} %, these clients {100 * own / wall:.1f} %"
    )


resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)
with service(test_mode=False) as (url, _, process):
    asyncio.run(measure(url, process))
