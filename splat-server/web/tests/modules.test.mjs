// Modules that need no browser.

import assert from 'node:assert/strict';
import { test } from 'node:test';

globalThis.navigator ??= { languages: ['en'] };
globalThis.location ??= new URL('http://page.test/');
const { at, inOrder } = await import('../assets/js/api.js');
const { EventParser } = await import('../assets/js/events.js');
const { kindOf, examine } = await import('../assets/js/sniff.js');
const { rotate, startFrom, upOf, uprightRotation } = await import('../assets/js/pose.js');
const { Orbit } = await import('../assets/js/orbit.js');
const { base64 } = await import('../assets/js/tus.js');
const { thin } = await import('../assets/js/chart.js');
const { backoff } = await import('../assets/js/connection.js');

const bytesOf = (text) => Uint8Array.from(text, (char) => char.charCodeAt(0));
const close = (a, b, tolerance = 1e-6) => a.forEach((value, i) => assert.ok(Math.abs(value - b[i]) < tolerance, `${a} against ${b}`));

test('events are the same however the stream is cut', () => {
  const stream = ': heartbeat\n\nid: 1\nevent: stage\ndata: {"a":1}\n\nid: 2\r\nevent:progress\r\ndata: {"b":\ndata: 2}\r\n\r\nid: 3\ndata: x\n';
  for (let cut = 1; cut < stream.length; cut += 1) {
    const parser = new EventParser();
    const events = [...parser.push(stream.slice(0, cut)), ...parser.push(stream.slice(cut))];
    assert.deepEqual(events, [{ id: '1', event: 'stage', data: '{"a":1}' }, { id: '2', event: 'progress', data: '{"b":\n2}' }], `cut at ${cut}`);
  }
});

test('a response is dropped if that of a later request has been used', async () => {
  const used = [];
  const take = inOrder((value) => used.push(value));
  const answers = [];
  const asked = [0, 1, 2, 3].map((i) => take(new Promise((resolve, reject) => { answers[i] = { resolve, reject }; })));
  answers[1].resolve('second');
  await asked[1];
  answers[0].resolve('first');
  await asked[0];
  answers[3].reject(new Error('gone'));
  await assert.rejects(asked[3], /gone/);
  answers[2].resolve('third');
  await asked[2];
  assert.deepEqual(used, ['second', 'third']);

  // The response to a change is taken when it is there: requests sent before are older, even if their responses come later.
  const dropped = [];
  const newer = inOrder((value) => used.push(value), (value) => dropped.push(value));
  let answer;
  const before = newer(new Promise((resolve) => { answer = resolve; }));
  await newer('changed');
  answer('before');
  await before;
  assert.deepEqual([used.at(-1), dropped], ['changed', ['before']]);
});

test('files are distinguished by their content', () => {
  const kinds = {
    '\xff\xd8\xff\xe1': 'jpeg', '\x89PNG\r\n\x1a\n': 'png', 'RIFF\0\0\0\0WEBPVP8 ': 'webp', 'RIFF\0\0\0\0AVI LIST': 'video', 'PK\x03\x04': 'zip',
    '\0\0\0\x18ftypheic': 'heic', '\0\0\0\x18ftypavif': 'heic', '\0\0\0\x18ftypisom': 'video', '\0\0\0\x18ftypqt  ': 'video', '\0\0\0\x18ftypcrx ': 'raw',
    '\x1a\x45\xdf\xa3': 'video', 'II*\0': 'raw', 'MM\0*': 'raw', '<html>': 'unknown', 'GIF89a': 'unknown', '\xff': 'unknown', '': 'empty',
  };
  for (const [head, kind] of Object.entries(kinds)) assert.equal(kindOf(bytesOf(head)), kind, JSON.stringify(head));
});

test('a file beyond the limits is refused with its reason', async () => {
  const file = (head, size) => ({ size, slice: () => new Blob([bytesOf(head)]) });
  const limits = { max_file_bytes: 100, max_job_bytes: 1000 };
  const why = async (...of) => (await examine(file(...of), limits, { video: false })).reason?.key ?? null;
  assert.equal(await why('\xff\xd8\xff', 100), null);
  assert.equal(await why('\xff\xd8\xff', 101), 'reject.large');
  assert.equal(await why('PK\x03\x04', 1000), null);
  assert.equal(await why('PK\x03\x04', 1001), 'reject.large');
  assert.equal(await why('\0\0\0\x18ftypisom', 10), 'reject.no_video');
  assert.equal(await why('hello', 5), 'reject.unknown');
});

test('names of any script survive in upload metadata', () => {
  assert.equal(Buffer.from(base64('정원 문.jpg'), 'base64').toString('utf8'), '정원 문.jpg');
});

/** Cameras on a circle that look at `centre`, level, in a world whose up is `up`. */
function ring(centre, up, count = 10) {
  const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
  const unit = (a) => a.map((value) => value / Math.hypot(...a));
  const e1 = unit(cross(up, Math.abs(up[0]) < 0.9 ? [1, 0, 0] : [0, 0, 1]));
  const e2 = cross(up, e1);
  return Array.from({ length: count }, (_, i) => {
    const angle = (2 * Math.PI * i) / count;
    const outward = [0, 1, 2].map((k) => 3 * (Math.cos(angle) * e1[k] + Math.sin(angle) * e2[k]) + 1.5 * up[k]);
    const position = outward.map((value, k) => value + centre[k]);
    const forward = unit(outward.map((value) => -value));
    const right = unit(cross(forward, up));
    const down = cross(forward, right);
    return { position, rotation: [0, 1, 2].map((k) => [right[k], down[k], forward[k]]), width: 640, height: 480, fx: 500, fy: 500 };
  });
}

test('a tilted world is stood upright, and the first view looks at what all cameras look at', () => {
  for (const up of [[0, -1, 0], [0, 1, 0], [0.6, -0.8, 0], [0, 0, 1], [1, 0, 0]]) {
    const centre = [0.3, -0.2, 0.5];
    const cameras = ring(centre, up);
    close(upOf(cameras), up, 1e-6);
    const { rotation, initial } = startFrom(cameras);
    close([Math.hypot(...rotation)], [1]);
    close(rotate(rotation, up), [0, 1, 0]);
    close(initial.target, rotate(rotation, centre));
    close(initial.position, rotate(rotation, cameras[0].position));
    close([initial.fov], [(2 * Math.atan(240 / 500) * 180) / Math.PI]);
  }
});

test('a drag turns the camera around what the photos show, as far as above and below it', () => {
  const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
  const distance = (a, b) => Math.hypot(...a.map((value, i) => value - b[i]));
  for (const up of [[0, -1, 0], [0.6, -0.8, 0], [0, 0, 1]]) {
    const point = [0.3, -0.2, 0.5];
    const [first, second] = ring(point, up, 36);
    const orbit = new Orbit(first, { point, up });
    close(orbit.camera().position, first.position);
    orbit.camera().rotation.forEach((row, i) => close(row, first.rotation[i]));
    // The camera's x axis points to the right.
    orbit.turn(0.2, 0);
    const right = first.rotation.map((row) => row[0]);
    assert.ok(dot(orbit.camera().position.map((value, i) => value - first.position[i]), right) > 0);
    orbit.turn(-0.2 + (dot(right, second.position.map((value, i) => value - first.position[i])) > 0 ? 1 : -1) * (Math.PI / 18), 0);
    close(orbit.camera().position, second.position);
    orbit.camera().rotation.forEach((row, i) => close(row, second.rotation[i]));
    for (const upwards of [9, -18]) {
      orbit.turn(0.3, upwards);
      const { position, rotation } = orbit.camera();
      close([distance(position, point)], [distance(first.position, point)]);
      const rise = dot(up, position.map((value, i) => value - point[i])) / distance(position, point);
      assert.ok(Math.abs(rise) > 0.99 && Math.abs(rise) < 1 && Math.sign(rise) === Math.sign(upwards), String(rise));
      // It still looks at the point and is upright.
      close([0, 1, 2].map((k) => rotation[k][2]), point.map((value, i) => (value - position[i]) / distance(position, point)));
      assert.ok(dot([0, 1, 2].map((k) => rotation[k][1]), up) < 0);
    }
    for (let i = 0; i < 100; i += 1) orbit.zoom(0.9);
    assert.ok(distance(orbit.camera().position, point) > 0.05 * distance(first.position, point));
  }
});

test('COLMAP\'s usual world, y down, is turned as the viewer turns it by itself', () => {
  close(uprightRotation([0, -1, 0]), [0, 0, 1, 0]);
});

test('no cameras, or damaged ones, still give a start', () => {
  for (const bad of [null, [], [{ position: [NaN, 0, 0], rotation: [[1, 0, 0], [0, 1, 0], [0, 0, 1]] }], [{ position: [0, 0, 0] }]]) {
    assert.deepEqual(startFrom(bad), { rotation: [0, 0, 1, 0], initial: null });
  }
  const one = startFrom(ring([0, 0, 0], [0, -1, 0]).slice(0, 1));
  assert.ok(Object.values(one.initial).flat().every(Number.isFinite));
});

test('long series are thinned evenly and keep their ends', () => {
  const long = Array.from({ length: 10_000 }, (_, i) => i);
  const short = thin(long);
  assert.ok(short.length <= 240 && short[0] === 0 && short.at(-1) === 9999);
  assert.deepEqual(thin([1, 2, 3]), [1, 2, 3]);
});

test('waiting grows, stays bounded, and differs from client to client', () => {
  const waits = Array.from({ length: 200 }, () => backoff(30));
  assert.ok(Math.max(...waits) <= 28 && Math.min(...waits) >= 12 && new Set(waits).size > 100);
  assert.ok(backoff(0) < 0.8);
});

test('addresses of the service are asked for where the page came from', () => {
  for (const address of ['/v1/jobs/x', 'v1/jobs/x', 'https://splat.example.com/v1/jobs/x', 'http://[::1]:5000/v1/jobs/x']) assert.equal(at(address), '/v1/jobs/x');
  assert.equal(at('https://splat.example.com/v1/jobs?limit=2'), '/v1/jobs?limit=2');
});
