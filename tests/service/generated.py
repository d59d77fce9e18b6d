"""Clients that third-party tools generate from the OpenAPI document: they compile, submit a scene, follow it and fetch its files.

    target/tools/bin/python tests/service/generated.py

Python by openapi-python-client, checked by importing every module; TypeScript by openapi-typescript and openapi-fetch, checked by
the compiler at its strictest.
"""

import importlib
import io
import json
import os
import pathlib
import pkgutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.request

from running import png, service

HERE = pathlib.Path(__file__).resolve().parent
NODE = HERE / "node_modules"
# Content types that openapi-python-client does not support.
BYTES = [(name, "application/octet-stream") for name in ("application/zip", "application/offset+octet-stream", "image/png", "model/gltf-binary")]
TEXTS = [(name, "text/plain") for name in ("application/openmetrics-text", "text/event-stream")]


def python(url, document, folder):
    """The generated client as a package, used as its readme says."""
    config = folder / "config.json"
    # No formatter: the generated code is used unchanged.
    settings = {"project_name_override": "splat-made", "package_name_override": "splat_made", "post_hooks": []}
    config.write_text(json.dumps({**settings, "content_type_overrides": dict(BYTES + TEXTS)}))
    maker = os.path.join(sysconfig.get_path("scripts"), "openapi-python-client")
    command = [maker, "generate", "--path", str(document), "--output-path", str(folder / "python"), "--config", str(config)]
    done = subprocess.run([*command, "--fail-on-warning"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    sys.path.insert(0, str(folder / "python"))
    made = importlib.import_module("splat_made")
    for module in pkgutil.walk_packages(made.__path__, "splat_made."):
        importlib.import_module(module.name)
    from splat_made import Client
    from splat_made.api.artifacts import get_artifact
    from splat_made.api.jobs import create_job, get_job, list_jobs
    from splat_made.models import JobKind, JobState, SceneForm, SubmittedView
    from splat_made.types import File

    client = Client(base_url=url, raise_on_unexpected_status=True)
    images = [File(payload=io.BytesIO(png(number)), file_name=f"{number}.png") for number in range(3)]
    job = create_job.sync(client=client, body=SceneForm(images=images, name="made"))
    assert isinstance(job, SubmittedView), job
    until = time.monotonic() + 60
    while job.state in (JobState.QUEUED, JobState.RUNNING):
        assert time.monotonic() < until, job
        time.sleep(0.1)
        job = get_job.sync(job.id, client=client)
    assert job.state == JobState.SUCCEEDED and job.kind == JobKind.SCENE, job
    assert job.finished_at.timestamp() >= job.created_at.timestamp(), job
    page = list_jobs.sync(client=client, state=JobState.SUCCEEDED, kind=JobKind.SCENE)
    assert job.id in [other.id for other in page.jobs], page
    scene = next(artifact for artifact in job.artifacts if artifact.name == "scene.ply")
    answer = get_artifact.sync_detailed(job.id, scene.name, client=client)
    assert answer.status_code == 200 and len(answer.content) == scene.bytes_ and answer.content.startswith(b"ply"), answer


def typescript(url, document, folder):
    """Compiles the program beside this file against the document's types, and runs it."""
    program = folder / "typescript"
    program.mkdir()
    (program / "node_modules").symlink_to(NODE)
    (program / "package.json").write_text('{"type": "module"}')
    (program / "client.ts").write_text((HERE / "generated" / "client.ts").read_text())
    run = lambda *command: subprocess.run(command, cwd=program, check=True, timeout=120)
    run("node", str(NODE / "openapi-typescript/bin/cli.js"), str(document), "-o", "splat.ts")
    compiler = ["--strict", "--noUncheckedIndexedAccess", "--target", "es2022", "--module", "nodenext"]
    run("node", str(NODE / "typescript/bin/tsc"), *compiler, "--skipLibCheck", "--lib", "es2023,dom,dom.iterable", "client.ts")
    photos = [program / f"{number}.png" for number in range(3)]
    for number, photo in enumerate(photos):
        photo.write_bytes(png(number + 10))
    run("node", "client.js", url, *photos)


with service() as (url, _, _), tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    document = folder / "openapi.json"
    with urllib.request.urlopen(f"{url}/openapi.json", timeout=30) as answer:
        document.write_bytes(answer.read())
    for client in (python, typescript):
        begun = time.monotonic()
        client(url, document, folder)
        print(f"ok: a client made of the document, in {client.__name__} ({time.monotonic() - begun:.1f} s)", flush=True)
