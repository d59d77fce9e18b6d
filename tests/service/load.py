"""Load test: a thousand clients that watch a job, and two hundred submissions of fifty photos.

    target/tools/bin/python tests/service/load.py                 1,000 clients, 120 s; 200 submissions
    target/tools/bin/python tests/service/load.py --small         a hundred clients, 3 s; ten submissions

Fails on any error and on memory that grows. Run it on a quiet machine for the latency: client and service share the processors.
`--status-every` spreads a client's requests; `--limit-ms` is what the slowest hundredth may take.
"""

import argparse
import asyncio
import json
import random
import resource
import time

import aiohttp

from running import forget_peak, png, processor_seconds, resident, service

parser = argparse.ArgumentParser()
parser.add_argument("--small", action="store_true")
parser.add_argument("--seconds", type=float)
parser.add_argument("--status-every", type=float, default=1.0, metavar="S")
parser.add_argument("--limit-ms", type=float, default=0.0, help="most for the 99th percentile of status; 0 for no limit")
parser.add_argument("--submissions", type=int)
parser.add_argument("--at-once", type=int, default=16)
options = parser.parse_args()
WATCHERS = 50 if options.small else 500
SECONDS = options.seconds or (3 if options.small else 120)
SUBMISSIONS, PHOTOS = (10, 10) if options.small else (200, 50)
SUBMISSIONS, AT_ONCE = options.submissions or SUBMISSIONS, options.at_once


def form(photos, **fields):
    data = aiohttp.FormData()
    for number, photo in enumerate(photos):
        data.add_field("images", photo, filename=f"p{number}.png", content_type="image/png")
    for name, value in fields.items():
        data.add_field(name, json.dumps(value))
    return data


async def submit(session, url, photos, **fields):
    async with session.post(f"{url}/v1/jobs", data=form(photos, **fields)) as answer:
        assert answer.status == 202, await answer.text()
        return (await answer.json())["id"]


async def poll(session, url, job, until, times):
    # Clients start at different times.
    await asyncio.sleep(random.uniform(0, options.status_every))
    due = time.monotonic()
    while due < until:
        begun = time.monotonic()
        async with session.get(f"{url}/v1/jobs/{job}") as answer:
            body = await answer.json()
            assert answer.status == 200 and body["state"] == "running", (answer.status, body)
        times.append(time.monotonic() - begun)
        due += options.status_every
        await asyncio.sleep(max(0, due - time.monotonic()))


async def listen(session, url, job, until, counts):
    """Every event arrives once and in order, however long it takes."""
    last = 0
    async with session.get(f"{url}/v1/jobs/{job}/events") as answer:
        assert answer.status == 200, answer.status
        while (left := until - time.monotonic()) > 0:
            try:
                line = await asyncio.wait_for(answer.content.readline(), left)
            except TimeoutError:
                break
            assert line, "the stream ended although the job goes on"
            if line.startswith(b"id: "):
                number = int(line[4:])
                assert number == last + 1, (last, number)
                last = number
    counts.append(last)


async def watch(url, process):
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None)) as session:
        # Eight stages, so that the job lasts longer than the watching and emits events meanwhile.
        stage_ms = int(1000 * (1.2 * SECONDS + 30) / 8)
        job = await submit(session, url, [png(number) for number in range(3)], test={"stage_ms": stage_ms})
        await asyncio.sleep(1)
        # Once before the measurement, so that permanent allocations exist. Memory is compared with all clients connected.
        for seconds in (max(2, SECONDS / 4), SECONDS):
            times, counts = [], []
            until = time.monotonic() + seconds
            watchers = [poll(session, url, job, until, times) for _ in range(WATCHERS)]
            watchers += [listen(session, url, job, until, counts) for _ in range(WATCHERS)]
            watchers = asyncio.gather(*watchers)
            await asyncio.sleep(seconds / 10)
            before, busy, asked = resident(process), processor_seconds(process), len(times)
            await asyncio.sleep(max(0, until - time.monotonic() - 0.5))
            after, busy, asked = resident(process), processor_seconds(process) - busy, len(times) - asked
            await watchers
        async with session.post(f"{url}/v1/jobs/{job}/cancel") as answer:
            assert answer.status == 202, answer.status
    times.sort()
    p50, p99 = (1000 * times[int(len(times) * part)] for part in (0.5, 0.99))
    print(
        f"{WATCHERS} asking for status each {options.status_every:g} s and {WATCHERS} streams, {SECONDS:g} s: "
        f"{len(times)} answers, no error; status p50 {p50:.1f} ms, p99 {p99:.1f} ms, most {1000 * times[-1]:.1f} ms; "
        f"{max(counts)} events each; {1e6 * busy / asked:.0f} us of processor time an answer, all streams included; "
        f"memory {before:.1f} to {after:.1f} MiB",
        flush=True,
    )
    assert min(counts) > 0 and len(counts) == WATCHERS, counts
    assert after < 1.1 * before + 4, "memory grows"
    assert not options.limit_ms or p99 < options.limit_ms, p99


async def fill(url, process):
    photos = [png(number, 400, 300, noise=True) for number in range(PHOTOS)]
    bytes_each = sum(map(len, photos))
    gate = asyncio.Semaphore(AT_ONCE)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=300)) as session:

        async def one():
            async with gate:
                return await submit(session, url, photos, test={"stage_ms": 120_000})

        await submit(session, url, photos, test={"stage_ms": 120_000})
        forget_peak(process)
        before, begun = resident(process), time.monotonic()
        jobs = await asyncio.gather(*[one() for _ in range(SUBMISSIONS - 1)])
        took, after, peak = time.monotonic() - begun, resident(process), resident(process, "VmHWM")
        assert len(set(jobs)) == SUBMISSIONS - 1
    print(
        f"{SUBMISSIONS} submissions of {PHOTOS} photos ({bytes_each / 2**20:.1f} MiB each, {AT_ONCE} at once) in {took:.1f} s; "
        f"memory {before:.1f} to {after:.1f} MiB, at its peak {peak:.1f} MiB",
        flush=True,
    )
    assert peak < before + 64, "memory grows with what is uploaded"


resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)
for part in (watch, fill):
    with service("--max-waiting", "300") as (url, _, process):
        asyncio.run(part(url, process))
