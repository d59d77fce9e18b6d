"""A hundred users add a gesture at the same time, as the stock apps do, while a scene trains.

    target/tools/bin/python tests/service/gesture_users.py RECORDING.csv [PHOTOS] [--users 100]

Tells how long each took from POST to the downloaded model, first one user alone, then all together. With PHOTOS a scene is trained
for real meanwhile. SPLAT_BIN should be a release build.
"""

import argparse
import asyncio
import csv
import pathlib
import statistics
import time

import aiohttp

from running import photos_form, service

parser = argparse.ArgumentParser()
parser.add_argument("recording", type=pathlib.Path)
parser.add_argument("photos", type=pathlib.Path, nargs="?")
parser.add_argument("--users", type=int, default=100)
options = parser.parse_args()


async def one(session, url, gesture, frames):
    begun = time.monotonic()
    body = {"model_code": "base_v1", "gesture": gesture, "landmarks": frames}
    async with session.post(f"{url}/train", json=body) as answer:
        assert answer.status == 200, await answer.text()
        task = (await answer.json())["task_id"]
    while True:
        async with session.get(f"{url}/status/{task}") as answer:
            status = await answer.json()
        if status["status"] == "SUCCESS":
            break
        assert status["status"] in ("PENDING", "PROGRESS"), status
        await asyncio.sleep(0.2)
    async with session.get(status["result"]["tflite_url"]) as answer:
        model = await answer.read()
    assert answer.status == 200 and model[4:8] == b"TFL3" and len(model) <= 40_000
    return time.monotonic() - begun


async def scene(session, url):
    form = photos_form(options.photos, preset="preview")
    async with session.post(f"{url}/v1/jobs", data=form) as answer:
        assert answer.status == 202, await answer.text()
        job = (await answer.json())["id"]
    while True:
        async with session.get(f"{url}/v1/jobs/{job}") as answer:
            status = await answer.json()
        assert status["state"] in ("queued", "running"), status
        if status["progress"].get("step"):
            return
        await asyncio.sleep(1)


async def main(url):
    with open(options.recording) as file:
        rows = list(csv.reader(file))[1:]
    frames = [[float(value) for value in row[1:]] for row in rows][:100]
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        # The base model is trained in the first seconds.
        first = await one(session, url, "first", frames)
        if options.photos:
            await scene(session, url)
        alone = await one(session, url, "alone", frames)
        times = await asyncio.gather(*[one(session, url, f"user {n}", frames) for n in range(options.users)])
    beside = " beside a scene that trains" if options.photos else ""
    print(
        f"POST to model{beside}: alone {alone:.2f} s (after the start, base model included, {first:.2f} s); {options.users} at once: "
        f"median {statistics.median(times):.1f} s, last {max(times):.1f} s"
    )
    assert max(times) < 60, times


with service(test_mode=False) as (url, _, _):
    asyncio.run(main(url))
