"""Google Cloud Storage for tests: gcp-storage-emulator with the XML API that its JSON API lacks.

    gcs.py PORT BUCKET

The emulator keeps the objects and answers the JSON API. Clients of the XML API (object_store among them) also list, delete,
ask with HEAD, read ETag and Last-Modified, upload in parts, and upload where nothing is yet:
https://cloud.google.com/storage/docs/xml-api/overview
"""

import email.utils
import hashlib
import sys
import uuid
from datetime import datetime
from functools import partial
from http.server import ThreadingHTTPServer
from threading import Lock
from urllib.parse import parse_qs, unquote, urlparse
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from gcp_storage_emulator.exceptions import NotFound
from gcp_storage_emulator.handlers.buckets import create_bucket
from gcp_storage_emulator.server import RequestHandler
from gcp_storage_emulator.storage import Storage

# Objects per page of a listing; few, so that tests get several pages.
PAGE = 3
uploads = {}
# One request at a time, so that a precondition still holds when its object is written.
putting = Lock()


class XmlHandler(RequestHandler):
    protocol_version = "HTTP/1.1"

    def target(self):
        url = urlparse(self.path)
        bucket, _, key = unquote(url.path).lstrip("/").partition("/")
        return bucket, key, {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if not any(name == "Content-Length" for name, _ in headers):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def xml(self, text):
        self.answer(200, ('<?xml version="1.0" encoding="UTF-8"?>' + text).encode(), [("Content-Type", "application/xml")])

    def store(self, bucket, key, content):
        etag = '"' + hashlib.md5(content).hexdigest() + '"'
        now = datetime.now().astimezone().isoformat()
        self.storage.create_file(bucket, key, content, {"name": key, "size": str(len(content)), "etag": etag, "updated": now})
        return etag

    def has(self, bucket, key):
        try:
            self.storage.get_file_obj(bucket, key)
        except NotFound:
            return False
        return True

    def do_GET(self):
        bucket, key, query = self.target()
        try:
            if not key:
                return self.list(bucket, query)
            content = self.storage.get_file(bucket, key)
            meta = self.storage.get_file_obj(bucket, key)
        except NotFound:
            return self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        modified = email.utils.format_datetime(datetime.fromisoformat(meta["updated"]))
        headers = [("ETag", meta["etag"]), ("Last-Modified", modified), ("x-goog-generation", "1")]
        length = len(content)
        asked = self.headers.get("Range")
        if self.command == "HEAD":
            return self.answer(200, headers=headers + [("Content-Length", str(length))])
        if not asked:
            return self.answer(200, content, headers)
        first, _, last = asked.removeprefix("bytes=").partition("-")
        first, last = int(first), min(int(last or length), length - 1)
        if first >= length:
            return self.answer(416)
        return self.answer(206, content[first : last + 1], headers + [("Content-Range", f"bytes {first}-{last}/{length}")])

    do_HEAD = do_GET

    def list(self, bucket, query):
        prefix, after = query.get("prefix", ""), query.get("continuation-token", "")
        found, _ = self.storage.get_file_list(bucket, prefix or None)
        found = sorted((item for item in found if item["name"] > after), key=lambda item: item["name"])
        page, more = found[:PAGE], len(found) > PAGE
        rows = "".join(
            f"<Contents><Key>{escape(item['name'])}</Key><Size>{item['size']}</Size>"
            f"<LastModified>{item['updated']}</LastModified><ETag>{escape(item['etag'])}</ETag></Contents>"
            for item in page
        )
        token = f"<NextContinuationToken>{escape(page[-1]['name'])}</NextContinuationToken>" if more else ""
        return self.xml(f"<ListBucketResult><Name>{bucket}</Name>{rows}{token}</ListBucketResult>")

    def do_PUT(self):
        bucket, key, query = self.target()
        content = self.body()
        if "uploadId" in query:
            uploads[query["uploadId"]][int(query["partNumber"])] = content
            return self.answer(200, headers=[("ETag", '"' + hashlib.md5(content).hexdigest() + '"')])
        try:
            if source := self.headers.get("x-goog-copy-source"):
                content = self.storage.get_file(*unquote(source).lstrip("/").split("/", 1))
            with putting:
                # Generation 0: only if the object does not exist yet.
                if self.headers.get("x-goog-if-generation-match") == "0" and self.has(bucket, key):
                    return self.answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
                etag = self.store(bucket, key, content)
        except NotFound:
            return self.answer(404, b"<Error><Code>NoSuchBucket</Code></Error>")
        if source:
            return self.xml(f"<CopyObjectResult><ETag>{escape(etag)}</ETag></CopyObjectResult>")
        return self.answer(200, headers=[("ETag", etag), ("x-goog-generation", "1")])

    def do_POST(self):
        bucket, key, query = self.target()
        content = self.body()
        if "uploads" in query:
            upload = uuid.uuid4().hex
            uploads[upload] = {}
            return self.xml(f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>")
        parts = uploads.pop(query["uploadId"])
        wanted = [int(part.findtext("PartNumber")) for part in ElementTree.fromstring(content).iter("Part")]
        etag = self.store(bucket, key, b"".join(parts[number] for number in wanted))
        return self.xml(f"<CompleteMultipartUploadResult><ETag>{escape(etag)}</ETag></CompleteMultipartUploadResult>")

    def do_DELETE(self):
        bucket, key, query = self.target()
        if "uploadId" in query:
            uploads.pop(query["uploadId"], None)
            return self.answer(204)
        try:
            self.storage.delete_file(bucket, key)
        except NotFound:
            return self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        return self.answer(204)


def main(port, bucket):
    storage = Storage(use_memory_fs=True)
    create_bucket(bucket, storage)
    ThreadingHTTPServer(("127.0.0.1", int(port)), partial(XmlHandler, storage)).serve_forever()


main(*sys.argv[1:])
