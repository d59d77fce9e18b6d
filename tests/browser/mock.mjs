// A mock service for the page's own tests: it follows the HTTP contract, keeps everything in memory, runs a
// job in seconds, and drops connections on request. The behaviour of the real service is tested against the real one.
//
//   node tests/browser/mock.mjs [port]     to look at the page by hand

import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

import { upOrDown } from '../../splat-server/web/tests/onnx-writer.mjs';
import { cameras, photo, png, scenePly } from './files.mjs';

const WEB = fileURLToPath(new URL('../../splat-server/web/', import.meta.url));
const TYPES = { '.css': 'text/css', '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.mjs': 'text/javascript', '.wasm': 'application/wasm', '.svg': 'image/svg+xml', '.txt': 'text/plain' };
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const policy = (name) => readFileSync(`${WEB}csp-${name}.txt`, 'utf8').trim().split('\n').join('; ');
const newId = () => Array.from(randomBytes(26), (byte) => ALPHABET[byte & 31]).join('');

const PRESETS = [
  { name: 'preview', steps: 500, max_image_size: 480, summary: '500 steps' },
  { name: 'standard', steps: 30000, max_image_size: 1600, summary: '30,000 steps' },
  { name: 'high', steps: 30000, max_image_size: null, summary: '30,000 steps' },
  { name: 'reference', steps: 30000, max_image_size: 1600, summary: '30,000 steps as first published' },
];

const words = (...names) => names.map((name) => ({ name, summary: name }));
const OPTIONS = [
  { name: 'name', part: 'job', help: 'A title for people', type: 'text' },
  { name: 'preset', part: 'effort', help: 'Steps, resolution and COLMAP quality together', type: 'word', words: words('preview', 'standard', 'high', 'reference') },
  { name: 'iterations', part: 'training', help: 'Training steps', default: "the preset's", type: 'whole', minimum: 1, maximum: 200000 },
  { name: 'quality', part: 'colmap', help: 'How hard COLMAP looks for features', type: 'word', words: words('low', 'medium', 'high', 'extreme') },
  { name: 'strategy', part: 'training', help: 'How Gaussians are added and removed', type: 'word', words: words('mcmc', 'adc') },
  { name: 'renderer', part: 'training', help: 'How Gaussians are drawn', type: 'word', words: words('ewa', '3dgut') },
  { name: 'keep_distortion', part: 'photos', help: 'Train on the photos as they were taken', type: 'switch' },
  { name: 'matcher', part: 'colmap', help: 'Which photos are compared', type: 'word', words: words('auto', 'exhaustive', 'preselection', 'sequential') },
  { name: 'seed', part: 'training', help: 'Decides every random choice', default: '0', type: 'whole', minimum: 0, maximum: 4294967295 },
  { name: 'new_option', part: 'training', help: 'An option that the page has no text for', type: 'decimal', minimum: 0, maximum: 100 },
];

/** Starts the mock service; `options`: `key`, `maxPhotos`, `stepMs` (pace of jobs), `viewer`, `dropPatches`, `dropEvents`, `holdAt` (percent). */
export async function startMock(options = {}) {
  const mock = new Mock({ maxPhotos: 50, stepMs: 120, viewer: true, dropPatches: 0, dropEvents: 0, ...options });
  const server = createServer((request, response) => mock.handle(request, response).catch((error) => {
    console.error('mock:', error);
    response.destroy();
  }));
  await new Promise((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve));
  mock.url = `http://127.0.0.1:${server.address().port}`;
  mock.server = server;
  mock.stop = () => new Promise((resolve) => {
    // An unfinished job of a failed test would keep the process alive forever.
    for (const job of mock.jobs.values()) clearInterval(job.timer);
    server.closeAllConnections();
    server.close(resolve);
  });
  return mock;
}

class Mock {
  uploads = new Map();
  jobs = new Map();
  idempotency = new Map();
  requests = [];
  down = false;

  constructor(options) {
    this.options = options;
    this.gestures = [];
  }

  async handle(request, response) {
    const url = new URL(request.url, 'http://mock');
    this.requests.push(`${request.method} ${url.pathname}`);
    if (this.down) return request.socket.destroy();
    const { pathname: path } = url;
    if (['GET', 'HEAD'].includes(request.method) && (path === '/' || path === '/gestures' || path.startsWith('/viewer') || path.startsWith('/shared/') || path.startsWith('/assets/'))) return this.page(path, response);
    if (path === '/v1/info') return json(response, 200, this.info());
    if (this.options.key && request.headers.authorization !== `Bearer ${this.options.key}`) return problem(response, 401, 'unauthorized', 'The key is missing or not known.');
    if (path === '/v1/uploads' || path.startsWith('/v1/uploads/')) return this.upload(request, response, path.split('/')[3]);
    if (path === '/v1/gestures' || path.startsWith('/v1/gestures/')) return this.models(request, response, path);
    if (path.startsWith('/v1/shared/')) return this.shared(response, path);
    if (path === '/v1/jobs') return request.method === 'POST' ? this.submit(request, response) : this.list(response, url);
    const [, , , id, part, name] = path.split('/');
    const job = this.jobs.get(id);
    if (!job) return problem(response, 404, 'not_found', 'There is no such job.');
    if (part === 'events') return this.events(request, response, job);
    if (part === 'log') {
      const from = Number(url.searchParams.get('from') ?? 0);
      response.writeHead(200, { 'Content-Type': 'text/plain', 'X-Next-From': String(job.log.length) });
      return response.end(job.log.slice(from));
    }
    if (part === 'artifacts') return this.artifact(response, job, name);
    if (part === 'cancel') return json(response, 202, this.cancel(job));
    if (part === 'retry') return json(response, 202, this.begin(job));
    if (part === 'look') return this.look(request, response, job);
    if (part === 'share') return this.share(request, response, job);
    if (request.method === 'PATCH') return json(response, 200, this.view(Object.assign(job, await body(request))));
    if (request.method === 'DELETE') {
      this.jobs.delete(id);
      response.writeHead(204);
      return response.end();
    }
    return json(response, 200, this.view(job));
  }

  info() {
    return {
      version: '0.1.0', auth_required: Boolean(this.options.key), test_mode: Boolean(this.options.testMode), viewer: this.options.viewer, gestures: Boolean(this.options.gestures), video: this.options.video ?? true, gpu: this.options.gpu,
      scene_forms: ['scene.ply', 'scene.compressed.ply', 'scene.spz', 'scene.sog'],
      limits: { max_photos: this.options.maxPhotos, max_file_bytes: 50e6, max_job_bytes: 2e9, max_pixels: 1e8 },
      presets: PRESETS, options: OPTIONS, renderers: ['ewa', '3dgut'], strategies: ['mcmc', 'adc'], qualities: ['low', 'medium', 'high', 'extreme'],
    };
  }

  page(path, response) {
    if (path.startsWith('/shared/')) path = '/viewer/';
    const name = { '/': 'index.html', '/gestures': 'gestures.html', '/viewer': 'viewer.html', '/viewer/': 'viewer.html' }[path]
      ?? (/^\/assets\/(viewer|mediapipe)\//.test(path) ? `dist${path.slice(7)}` : path.slice(1));
    const file = normalize(`${WEB}${name}`);
    if (!file.startsWith(WEB) || !existsSync(file) || !statSync(file).isFile()) return problem(response, 404, 'not_found', 'No such page.');
    const headers = { 'Content-Type': TYPES[extname(file)] ?? 'application/octet-stream', 'Cache-Control': 'no-store' };
    if (extname(file) === '.html') headers['Content-Security-Policy'] = policy({ 'viewer.html': 'viewer', 'gestures.html': 'gestures' }[name] ?? 'page');
    response.writeHead(200, headers);
    response.end(readFileSync(file));
  }

  async upload(request, response, id) {
    if (!id && request.method === 'GET') {
      const uploads = [...this.uploads.values()].map((upload) => ({ id: upload.id, name: upload.name, bytes: upload.length, offset: upload.bytes.length, expires_at: new Date().toISOString() }));
      return json(response, 200, { uploads });
    }
    if (request.method === 'POST') {
      const made = { id: newId(), length: Number(request.headers['upload-length']), bytes: Buffer.alloc(0) };
      made.name = Buffer.from(request.headers['upload-metadata'].split(' ')[1], 'base64').toString();
      this.uploads.set(made.id, made);
      response.writeHead(201, { 'Tus-Resumable': '1.0.0', Location: `/v1/uploads/${made.id}` });
      return response.end();
    }
    const upload = this.uploads.get(id);
    if (!upload) return problem(response, 404, 'not_found', 'There is no such upload.');
    if (request.method === 'DELETE') {
      this.uploads.delete(id);
      response.writeHead(204);
      return response.end();
    }
    if (request.method === 'PATCH') {
      if (Number(request.headers['upload-offset']) !== upload.bytes.length) return problem(response, 409, 'offset', 'The offset differs.');
      if (this.options.dropPatches > 0) {
        this.options.dropPatches -= 1;
        request.once('data', (part) => {
          upload.bytes = Buffer.concat([upload.bytes, part.subarray(0, Math.ceil(part.length / 2))]);
          request.socket.destroy(); // half of it has arrived
        });
        return;
      }
      const parts = [];
      for await (const part of request) parts.push(part);
      if (this.options.slowMs) await new Promise((resolve) => setTimeout(resolve, this.options.slowMs));
      upload.bytes = Buffer.concat([upload.bytes, ...parts]);
      if (upload.bytes.length === upload.length && upload.length < 100) {
        this.uploads.delete(id);
        return problem(response, 422, 'unreadable_photo', 'The photo is cut off: it ends in the middle of its header.');
      }
    }
    response.writeHead(request.method === 'HEAD' ? 200 : 204, { 'Tus-Resumable': '1.0.0', 'Upload-Offset': String(upload.bytes.length), 'Upload-Length': String(upload.length) });
    response.end();
  }

  /** A camera at the requested place that looks at the origin; the picture's colour depends on the direction. */
  async look(request, response, job) {
    const asked = await body(request);
    if (job.state !== 'running' || job.progress.stage !== 'train') return problem(response, 409, 'not_training', 'Only a scene in training can be looked at.');
    (this.looks ??= []).push(asked);
    if (this.options.lookMs) await new Promise((resolve) => setTimeout(resolve, this.options.lookMs));
    const camera = asked.camera ?? { position: [0, 0, -4], rotation: [[1, 0, 0], [0, 1, 0], [0, 0, 1]] };
    return json(response, 200, {
      step: job.progress.step ?? 1, camera, lens: { width: 4, height: 3, fx: 4, fy: 4 }, around: { point: [0, 0, 0], up: [0, -1, 0] },
      jpeg: photo(Math.atan2(camera.position[0], -camera.position[2]), 80, 60).toString('base64'),
    });
  }

  async share(request, response, job) {
    if (request.method === 'DELETE') {
      delete job.share;
      response.writeHead(204);
      return response.end();
    }
    const { drop_floaters = false } = await body(request);
    const url = job.share?.url ?? `/shared/${newId()}`;
    job.share = { url, embed: `<iframe src="${url}"></iframe>`, created_at: new Date().toISOString(), drop_floaters };
    return json(response, 200, job.share);
  }

  shared(response, path) {
    const [, , , secret, name] = path.split('/');
    const job = [...this.jobs.values()].find(({ share }) => share?.url === `/shared/${secret}`);
    if (!job) return problem(response, 404, 'not_found', 'The link has ended.');
    if (name) return this.artifact(response, job, name.replace('.compressed', ''));
    const files = Object.keys(job.artifacts).map((file) => ({ name: file, url: `/v1/shared/${secret}/${file}` }));
    return json(response, 200, { name: job.name, created_at: job.share.created_at, files });
  }

  /** Models outlive their jobs. */
  async models(request, response, path) {
    const filesOf = ({ id, artifacts }) => Object.entries(artifacts).map(([name, { body: { length } }]) => ({ name, bytes: length, url: `/v1/gestures/${id}/files/${name}` }));
    const view = ({ id, labels, artifacts, created, parent = 'base_v1', step = 'added' }) => ({ id, labels, layout: 'world', parent, step, created, metrics: {}, files: filesOf({ id, artifacts }) });
    const [, , , id, part, name] = path.split('/');
    if (!id) return json(response, 200, { gestures: this.gestures.map(view) });
    const model = this.gestures.find((one) => one.id === id);
    if (!model) return problem(response, 404, 'not_found', 'There is no such model.');
    if (request.method === 'DELETE') {
      this.gestures.splice(this.gestures.indexOf(model), 1);
      response.writeHead(204);
      return response.end();
    }
    if (request.method === 'POST') return this.changedModel(response, model, part, await body(request), view);
    return part === 'files' ? this.artifact(response, model, name) : json(response, 200, view(model));
  }

  /** A change creates a new model and keeps the old one. */
  changedModel(response, model, change, { gesture, to }, view) {
    if (to && model.labels.includes(to)) return problem(response, 409, 'name_taken', `The model has a gesture \`${to}\` already.`);
    if (!to && model.labels.length < 2) return problem(response, 422, 'too_few_gestures', 'A model needs at least one gesture.');
    const labels = model.labels.flatMap((label) => (label === gesture ? to ?? [] : label));
    const artifacts = { ...model.artifacts, 'labels.json': { body: Buffer.from(JSON.stringify(labels)), type: 'application/json' } };
    const made = { id: newId(), labels, artifacts, created: modelTime(), parent: model.id, step: change };
    this.gestures.unshift(made);
    return json(response, 201, view(made));
  }

  async submit(request, response) {
    const asked = await body(request);
    const key = request.headers['idempotency-key'];
    if (this.idempotency.has(key)) return json(response, 202, this.view(this.jobs.get(this.idempotency.get(key))));
    if (asked.kind === 'gesture' && asked.landmarks.length < 40) return problem(response, 422, 'invalid', 'A recording needs at least 40 frames.');
    if (this.gestures.some(({ id, labels }) => id === asked.parent && labels.includes(asked.gesture))) return problem(response, 409, 'name_taken', `The model has a gesture \`${asked.gesture}\` already.`);
    const photos = [];
    for (const [index, id] of (asked.uploads ?? []).entries()) {
      const upload = this.uploads.get(id);
      if (!upload || upload.bytes.length !== upload.length) return problem(response, 422, 'unknown_upload', 'An upload is unknown or unfinished.');
      photos.push({ file: `${String(index + 1).padStart(4, '0')}.png`, name: upload.name, bytes: upload.length, width: 320, height: 240, sha: createHash('sha256').update(upload.bytes).digest('hex') });
    }
    const job = { id: newId(), kind: asked.kind, name: asked.options?.name, options: asked.options ?? {}, body: asked, photos, created_at: new Date().toISOString() };
    this.jobs.set(job.id, job);
    if (key) this.idempotency.set(key, job.id);
    this.begin(job);
    if (this.options.loseSubmit) {
      this.options.loseSubmit = false;
      return request.socket.destroy(); // the job exists, but the client gets no response
    }
    response.setHeader('Location', `/v1/jobs/${job.id}`);
    return json(response, 202, this.view(job));
  }

  list(response, url) {
    const limit = Number(url.searchParams.get('limit') ?? 20);
    const wanted = (field) => (job) => !url.searchParams.has(field) || job[field] === url.searchParams.get(field);
    const jobs = [...this.jobs.values()].reverse().filter(wanted('kind')).filter(wanted('state'));
    return json(response, 200, { jobs: jobs.slice(0, limit).map((job) => ({ ...this.view(job), photos: undefined })), next: jobs[limit]?.id });
  }

  view(job) {
    const { id, kind, name, state, attempts, created_at, started_at, finished_at, progress, photos, options, problem: why, result, artifacts, cancel_requested, share, pinned = false } = job;
    return {
      id, kind, name, state, lane: 'scene', queue_position: state === 'queued' ? 1 : undefined, attempts, created_at, started_at, finished_at, progress, photos, options, problem: why, result, cancel_requested, share, pinned,
      photo_count: photos.length, expires_at: finished_at && !pinned ? new Date(Date.parse(finished_at) + 7 * 86_400_000).toISOString() : undefined,
      artifacts: Object.entries(artifacts).map(([file, { body, type }]) => ({ name: file, bytes: body.length, content_type: type, url: `/v1/jobs/${id}/artifacts/${file}` })),
      links: { self: `/v1/jobs/${id}`, events: `/v1/jobs/${id}/events`, log: `/v1/jobs/${id}/log`, cancel: `/v1/jobs/${id}/cancel`, retry: `/v1/jobs/${id}/retry`, look: `/v1/jobs/${id}/look`, share: `/v1/jobs/${id}/share`, scene: `/v1/jobs/${id}/scene`, archives: `/v1/jobs/${id}/archives` },
    };
  }

  begin(job) {
    Object.assign(job, { state: 'queued', attempts: 1, progress: { percent: 0 }, artifacts: {}, problem: undefined, result: undefined, cancel_requested: false, finished_at: undefined });
    job.events ??= [];
    job.log ??= '';
    job.script = job.kind === 'gesture' ? gestureScript(job, this.gestures) : script(job, this.options);
    job.timer = setInterval(() => this.tick(job), this.options.stepMs);
    return this.view(job);
  }

  tick(job) {
    if (job.cancel_requested) return this.end(job, 'cancelled');
    if (job.progress.percent >= (this.options.holdAt ?? 101)) return; // a test wants to look at it first
    const step = job.script.next();
    if (step.done) return this.end(job, job.problem ? 'failed' : 'succeeded');
    if (job.state === 'queued') Object.assign(job, { state: 'running', started_at: new Date().toISOString() });
    const { kind, stage, percent, message = '', data, progress } = step.value;
    job.progress = { ...job.progress, stage, percent, ...progress };
    job.log += `${new Date().toISOString()} ${stage}: ${message || kind}\n`;
    this.tell(job, { kind, stage, percent, message, data });
  }

  tell(job, event) {
    const whole = { sequence: job.events.length + 1, at_ms: Date.now(), ...event, progress: job.progress };
    job.events.push(whole);
    for (const send of job.listeners ?? []) send(whole);
  }

  end(job, state) {
    clearInterval(job.timer);
    Object.assign(job, { state, finished_at: new Date().toISOString() });
    if (state === 'succeeded') job.progress.percent = 100;
    this.tell(job, { kind: 'state', percent: job.progress.percent, message: state, data: { state } });
    for (const send of job.listeners ?? []) send(null);
  }

  cancel(job) {
    job.cancel_requested = true;
    return this.view(job);
  }

  events(request, response, job) {
    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
    const send = (event) => {
      if (!event) return response.end();
      response.write(`id: ${event.sequence}\nevent: ${event.kind}\ndata: ${JSON.stringify(event)}\n\n`);
      if (this.options.dropEvents > 0 && event.kind === 'progress') {
        this.options.dropEvents -= 1;
        request.socket.destroy();
      }
    };
    const from = Number(request.headers['last-event-id'] ?? 0);
    response.write(': hello\n\n');
    job.events.slice(from).forEach(send);
    if (job.finished_at) return response.end();
    job.listeners ??= new Set();
    job.listeners.add(send);
    response.on('close', () => job.listeners.delete(send));
  }

  artifact(response, job, name) {
    const found = job.artifacts[name];
    if (!found) return problem(response, 404, 'not_found', 'There is no such file.');
    response.writeHead(200, { 'Content-Type': found.type, 'Content-Length': found.body.length, 'Cache-Control': 'no-cache' });
    response.end(found.body);
  }
}

/** The body of a request, as JSON. */
async function body(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return JSON.parse(Buffer.concat(parts).toString() || '{}');
}

/** Progress of a job, one event per tick. */
function* script(job, options) {
  for (const [stage, percent] of [['prepare', 2], ['features', 6], ['matching', 12], ['mapping', 22], ['undistort', 28]]) {
    yield { kind: 'stage', stage, percent, message: `${stage} of ${job.photos.length} photos`, progress: { eta_s: 9 } };
  }
  if (job.name === 'fails') {
    job.problem = { code: 'no_reconstruction', message: 'COLMAP placed 3 of 48 photos.', hint: 'Overlap neighbouring photos by 60 % or more.' };
    return;
  }
  yield { kind: 'warning', stage: 'train', percent: 29, message: '0007.png was not placed and is left out.' };
  const steps = options.trainSteps ?? 20;
  const total = PRESETS.find(({ name }) => name === job.options.preset)?.steps ?? 30000;
  for (let i = 1; i <= steps; i += 1) {
    const part = i / steps;
    const step = Math.round(part * total);
    const loss = 0.035 + 0.22 * Math.exp(-5 * part) + 0.008 * Math.sin(i * 1.9);
    const gaussians = Math.round(5000 + 180000 * Math.sqrt(part));
    const percent = 30 + 60 * part;
    yield { kind: 'progress', stage: 'train', percent, data: { step, loss, gaussians, steps_per_s: 31 }, progress: { step, steps: total, loss, gaussians, eta_s: (1 - part) * 8 } };
    if (i % 4 === 0) {
      const psnr = 27.4 - 11 * Math.exp(-3 * part);
      yield { kind: 'eval', stage: 'train', percent, data: { step, psnr, ssim: 0.5 + 0.4 * part }, progress: { psnr } };
      job.artifacts['preview.png'] = { body: photo(part * 3, 480, 360), type: 'image/png' };
      yield { kind: 'preview', stage: 'train', percent, data: { url: `/v1/jobs/${job.id}/artifacts/preview.png`, step, psnr } };
    }
  }
  yield { kind: 'stage', stage: 'evaluate', percent: 95, message: 'held-out photos' };
  job.result = { psnr: 26.83, ssim: 0.871, gaussians: 185000, steps_done: total };
  Object.assign(job.artifacts, {
    'scene.ply': { body: scenePly(), type: 'application/octet-stream' },
    'cameras.json': { body: Buffer.from(JSON.stringify(cameras())), type: 'application/json' },
    'metrics.json': { body: Buffer.from('{"psnr": 26.83}'), type: 'application/json' },
    'log.txt': { body: Buffer.from(job.log), type: 'text/plain' },
    'comparison.png': { body: png(640, 240, (x, y) => [120 + 80 * Math.sin(x % 320 / 50), y, 90]), type: 'image/png' },
  });
  yield { kind: 'stage', stage: 'save', percent: 99, message: 'scene.ply' };
}

let lastModel = 0;

/** The current time, but at least a second after the previous model's: the page distinguishes models by the second of their creation. */
function modelTime() {
  lastModel = Math.max(Date.now(), lastModel + 1000);
  return new Date(lastModel).toISOString();
}

/** Progress of a gesture's job. */
function* gestureScript(job, models) {
  for (const percent of [10, 50, 90]) yield { kind: 'stage', stage: 'train', percent };
  if (job.body.gesture === 'alike' && !job.body.accept_look_alikes) {
    yield { kind: 'eval', stage: 'train', percent: 95, data: { confused_with: [{ gesture: 'paper', mixed_when_varied: 0.36 }, { gesture: 'rock', mixed_when_varied: 0.02 }] } };
    const reasons = [{ code: 'look_alike', params: { gesture: 'alike', other: 'paper', mixed: 36 } }];
    job.problem = { code: 'refused', message: '`alike` looks like `paper`', hint: 'choose another pose', reasons };
    return;
  }
  if (job.body.gesture === 'two') {
    job.problem = { code: 'invalid', message: 'the recording shows two gestures', reasons: [{ code: 'two_gestures', params: { frame: 50 } }] };
    return;
  }
  const labels = ['up', job.body.gesture];
  job.result = { model_code: job.id, labels, metrics: { old_accuracy: 0.998, new_recall: 0.96, new_frames: 98, unknown_accepted: 0.02 } };
  job.artifacts = {
    'model.onnx': { body: Buffer.from(upOrDown()), type: 'application/octet-stream' },
    'labels.json': { body: Buffer.from(JSON.stringify(labels)), type: 'application/json' },
    'manifest.json': { body: Buffer.from('{}'), type: 'application/json' },
  };
  models.unshift({ id: job.id, labels, artifacts: job.artifacts, created: modelTime() });
}

function json(response, status, value) {
  response.writeHead(status, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify(value));
}

function problem(response, status, code, detail, more = {}) {
  response.writeHead(status, { 'Content-Type': 'application/problem+json' });
  response.end(JSON.stringify({ type: 'about:blank', title: detail, status, detail, code, request_id: newId(), ...more }));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const mock = await startMock({ port: Number(process.argv[2] ?? 5050), stepMs: 400, trainSteps: 60, gestures: true });
  console.log(mock.url);
}
