"""Values that a fuzzer cannot guess: ids of existing jobs, photos, and the body of an upload request."""

import json
import os

import schemathesis

from running import png

# Created by `schema.py`: ids of finished jobs and of started uploads, and secrets of shared links.
JOBS = json.loads(os.environ.get("SPLAT_TEST_JOBS", "[]"))
UPLOADS = json.loads(os.environ.get("SPLAT_TEST_UPLOADS", "[]"))
SHARES = json.loads(os.environ.get("SPLAT_TEST_SHARES", "[]"))
NAMES = ["scene.ply", "preview.png", "metrics.json", "log.txt", "photos.zip", "everything.zip", "scene.spz"]
FORMS = ["scene.ply", "scene.compressed.ply", "scene.spz", "scene.sog", "scene.splat", "scene.glb"]
PHOTOS = [png(number) for number in range(4)]
calls = iter(range(1 << 30))


@schemathesis.serializer("application/offset+octet-stream")
def piece(_context, value):
    return value if isinstance(value, bytes) else str(value).encode()


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    """Two of three requests go to an existing resource."""
    number = next(calls)
    if not path_parameters or number % 3 == 0:
        return path_parameters
    ids = UPLOADS if "/uploads/" in context.operation.path else JOBS
    if "id" in path_parameters and ids:
        path_parameters["id"] = ids[number % len(ids)]
    if "secret" in path_parameters and SHARES:
        path_parameters["secret"] = SHARES[number % len(SHARES)]
    if "form" in path_parameters:
        path_parameters["form"] = FORMS[number % len(FORMS)]
    if "name" in path_parameters:
        path_parameters["name"] = NAMES[number % len(NAMES)]
    return path_parameters


@schemathesis.hook
def map_body(_context, body):
    """Every second form has usable photos."""
    if isinstance(body, dict) and "images" in body and next(calls) % 2:
        body["images"] = list(PHOTOS)
    return body
