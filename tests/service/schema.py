"""Tests the running service against its OpenAPI document: no 5xx, and only documented responses.

    target/tools/bin/python tests/service/schema.py [MAX_EXAMPLES]

Schemathesis makes requests of the document, right and wrong ones, the same each time; `hooks.py` gives it jobs to ask for.
"""

import asyncio
import json
import os
import pathlib
import subprocess
import sys
import sysconfig
import tempfile

import aiohttp

from running import png, service

HERE = pathlib.Path(__file__).resolve().parent
CHECKS = ",".join([
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "missing_required_header",
    "unsupported_method",
    "use_after_free",
])
EXAMPLES = sys.argv[1] if len(sys.argv) > 1 else "15"


async def prepare(url):
    """Jobs that succeeded, one that failed, started uploads, shared links."""
    jobs, uploads, shares = [], [], []
    async with aiohttp.ClientSession() as session:
        for number in range(12):
            form = aiohttp.FormData()
            for photo in range(3):
                form.add_field("images", png(photo), filename=f"{photo}.png")
            form.add_field("test", json.dumps({"stage_ms": 0, **({"fail_at": "mapping"} if number == 0 else {})}))
            async with session.post(f"{url}/v1/jobs", data=form) as answer:
                jobs.append((await answer.json())["id"])
        for number in range(6):
            headers = {"tus-resumable": "1.0.0", "upload-length": str(100 + number)}
            async with session.post(f"{url}/v1/uploads", headers=headers) as answer:
                uploads.append(answer.headers["location"].rsplit("/", 1)[1])
        for job in jobs:
            async with session.get(f"{url}/v1/jobs/{job}/events") as answer:
                await answer.read()
        for job in jobs[1:4]:
            async with session.post(f"{url}/v1/jobs/{job}/share") as answer:
                shares.append((await answer.json())["url"].rsplit("/", 1)[1])
    return jobs, uploads, shares


with service("--scene-slots", "2") as (url, _, _), tempfile.TemporaryDirectory() as folder:
    jobs, uploads, shares = asyncio.run(prepare(url))
    environment = {
        **os.environ,
        "PYTHONPATH": str(HERE),
        "SCHEMATHESIS_HOOKS": "hooks",
        "SPLAT_TEST_JOBS": json.dumps(jobs),
        "SPLAT_TEST_UPLOADS": json.dumps(uploads),
        "SPLAT_TEST_SHARES": json.dumps(shares),
    }
    schemathesis = os.path.join(sysconfig.get_path("scripts"), "schemathesis")
    command = [schemathesis, "--no-color", "--config-file", str(HERE / "schemathesis.toml"), "run", f"{url}/openapi.json"]
    command += ["--checks", CHECKS, "--seed", "1", "--generation-deterministic", "--max-examples", EXAMPLES]
    command += ["--continue-on-failure", "--no-shrink", "--request-timeout", "20", "--suppress-health-check", "all"]
    sys.exit(subprocess.run(command, cwd=folder, env=environment, check=False).returncode)
