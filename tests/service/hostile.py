"""Silent connections and an endless part header: the service responds to others, its jobs continue, its memory does not grow.

    target/tools/bin/python tests/service/hostile.py                 10,000 connections, 300 MB
    target/tools/bin/python tests/service/hostile.py --small         1,000 connections, 30 MB

Silent connections say nothing, one byte, a part of a header, or that they speak HTTP/2, a quarter each. `--limit-ms` is what the slowest
answer to somebody else may take; client and service share the processors.
"""

import argparse
import asyncio
import itertools
import json
import resource
import time

import aiohttp

from running import forget_peak, png, resident, service

parser = argparse.ArgumentParser()
parser.add_argument("--small", action="store_true")
parser.add_argument("--connections", type=int)
parser.add_argument("--seconds", type=float, help="for how long they stay")
parser.add_argument("--limit-ms", type=float, default=0.0, help="most for an answer of /healthz; 0 for no limit")
options = parser.parse_args()
CONNECTIONS = options.connections or (1_000 if options.small else 10_000)
SECONDS = options.seconds or (3 if options.small else 40)
HEADER_BYTES = 30_000_000 if options.small else 300_000_000
SILENCES = [b"", b"G", b"GET / HTTP/1.1\r\nHost: x\r\nX-Long:", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
# Maximum size of a part header, as in the README, plus the bytes in transit when the response arrives.
HEADER_LIMIT, ON_ITS_WAY = 16 << 10, 16 << 20


async def submit(session, url, **test):
    form = aiohttp.FormData({"test": json.dumps(test)})
    for number in range(3):
        form.add_field("images", png(number), filename=f"{number}.png")
    async with session.post(f"{url}/v1/jobs", data=form) as answer:
        assert answer.status == 202, await answer.text()
        return (await answer.json())["id"]


async def be_silent(address, silence, gate, stay):
    """Opens a connection, sends some bytes, and waits until the service closes it or the time is over; returns whether it was closed."""
    async with gate:
        reader, writer = await asyncio.open_connection(*address)
    try:
        writer.write(silence)
        await asyncio.wait_for(reader.read(), stay)
        return True
    except TimeoutError:
        return False
    except ConnectionError:
        return True
    finally:
        writer.close()


async def silent(url, process):
    host, port = url.removeprefix("http://").split(":")
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        # A job runs while the connections are open.
        job = await submit(session, url, stage_ms=int(1000 * SECONDS / 8))
        before, begun = resident(process), time.monotonic()
        gate = asyncio.Semaphore(200)
        says = itertools.islice(itertools.cycle(SILENCES), CONNECTIONS)
        crowd = [asyncio.create_task(be_silent((host, int(port)), one, gate, SECONDS)) for one in says]
        times = []
        while not all(one.done() for one in crowd):
            asked = time.monotonic()
            # On a new connection, as another client.
            async with session.get(f"{url}/healthz", headers={"connection": "close"}) as answer:
                assert answer.status == 200, answer.status
            times.append(time.monotonic() - asked)
            await asyncio.sleep(0.1)
        closed = sum(one.result() for one in crowd)
        took, after = time.monotonic() - begun, resident(process)
        async with session.get(f"{url}/v1/jobs/{job}/events") as answer:
            await answer.read()
        async with session.get(f"{url}/v1/jobs/{job}") as answer:
            status = await answer.json()
    assert (status["state"], status["attempts"]) == ("succeeded", 1), status
    times.sort()
    print(
        f"{CONNECTIONS} silent connections, {closed} of them closed by the service, in {took:.0f} s: {len(times)} answers of /healthz on new ones, p50 "
        f"{1000 * times[len(times) // 2]:.1f} ms, p99 {1000 * times[len(times) * 99 // 100]:.1f} ms, most {1000 * times[-1]:.1f} ms; a job went on and succeeded; memory {before:.1f} to {after:.1f} MiB",
        flush=True,
    )
    assert not options.limit_ms or 1000 * times[-1] < options.limit_ms, times[-1]


async def endless_header(url, process):
    """Sends an endless file name until there is a response."""
    host, port = url.removeprefix("http://").split(":")
    forget_peak(process)
    before, sent = resident(process), 0
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"POST /v1/jobs HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: multipart/form-data; boundary=x\r\n"
        f"Content-Length: {HEADER_BYTES + 1000}\r\n\r\n--x\r\nContent-Disposition: form-data; name=\"images\"; filename=\"".encode()
    )
    answer = asyncio.create_task(reader.readline())
    piece = b"a" * (64 << 10)
    while sent < HEADER_BYTES and not answer.done():
        writer.write(piece)
        sent += len(piece)
        try:
            await writer.drain()
        except ConnectionError:
            break
    line = await asyncio.wait_for(answer, 60)
    writer.close()
    peak = resident(process, "VmHWM")
    assert line.startswith(b"HTTP/1.1 400"), line
    assert HEADER_LIMIT < sent < ON_ITS_WAY, sent
    assert peak < before + 16, (before, peak)
    print(
        f"a part header of {HEADER_BYTES // 1_000_000} MB: {line.decode().strip()} after {sent / 2**20:.1f} MiB were on their way; memory "
        f"{before:.1f} MiB, at its peak {peak:.1f} MiB",
        flush=True,
    )


wanted = CONNECTIONS + 256
limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
if limit != resource.RLIM_INFINITY and limit < wanted:
    raise SystemExit(f"error: this shell lets a program open {limit} files, and {wanted} are needed; raise it (ulimit -Hn), or give --connections")
resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, limit))
for part in (silent, endless_header):
    with service() as (url, _, process):
        asyncio.run(part(url, process))
