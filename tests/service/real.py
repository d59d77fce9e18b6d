"""One real job through the service: the demo's photos, COLMAP, training and the PLY, while a gesture is trained beside it.

    target/tools/bin/python tests/service/real.py PHOTOS

Every other test of the service acts its jobs out (`--test-mode`).
"""

import asyncio
import io
import json
import pathlib
import subprocess
import sys
import time

import aiohttp
from plyfile import PlyData

from running import ROOT, photos_form, service

PHOTOS = pathlib.Path(sys.argv[1])
STEPS = 60
# Long enough for a busy machine; only a failing test waits that long.
PATIENCE_S = 1200


def made_up_hand():
    """World landmarks of 100 frames, from the generator of the page's tests."""
    script = f"import {{ gestureFrames }} from '{ROOT}/tests/browser/files.mjs'; console.log(JSON.stringify(gestureFrames(100, [1])))"
    node = subprocess.run(["node", "--input-type=module", "-e", script], check=True, capture_output=True, text=True)
    return json.loads(node.stdout)


async def gesture(session, url):
    body = {"kind": "gesture", "parent": "base_v1", "gesture": "one", "layout": "world", "landmarks": made_up_hand()}
    async with session.post(f"{url}/v1/jobs", json=body) as answer:
        assert answer.status == 202, await answer.text()
        job = (await answer.json())["id"]
    begun = time.monotonic()
    while True:
        async with session.get(f"{url}/v1/jobs/{job}") as answer:
            status = await answer.json()
        if status["state"] == "succeeded":
            break
        assert status["state"] in ("queued", "running"), status
        assert time.monotonic() - begun < PATIENCE_S, status
        await asyncio.sleep(0.2)
    async with session.get(f"{url}/v1/gestures/{job}") as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def main(url):
    timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        form = photos_form(PHOTOS, preset="preview", iterations=str(STEPS))
        scene = asyncio.create_task(session.post(f"{url}/process_images", data=form))
        model = await gesture(session, url)
        assert not scene.done(), "the gesture was to be trained while the scene is"
        async with await scene as answer:
            body = await answer.read()
            assert answer.status == 200, body[:2000]
        vertices = PlyData.read(io.BytesIO(body))["vertex"]
        assert len(vertices) > 100, len(vertices)
        async with session.get(f"{url}/v1/jobs") as answer:
            jobs = (await answer.json())["jobs"]
        done = next(job for job in jobs if job["kind"] == "scene")
        assert done["state"] == "succeeded", done
    print(f"real job: {len(vertices)} Gaussians after {STEPS} steps; gesture labels {model['labels']}")


with service(test_mode=False) as (address, _, _):
    asyncio.run(main(address))
