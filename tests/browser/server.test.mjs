// The page on the real service in test mode, where stages are simulated: the mock service must behave like the real one.

import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { gestureFrames, photo } from './files.mjs';
import { changed, colours } from './pixels.mjs';
import { openBrowser, visit } from './visit.mjs';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const SPLAT = resolve(process.env.SPLAT_BIN ?? `${process.env.CARGO_TARGET_DIR ?? `${ROOT}target`}/debug/splat`);
const photos = (count) => Array.from({ length: count }, (_, i) => ({ name: `IMG_${100 + i}.png`, mimeType: 'image/png', buffer: photo(i / 3, 160, 120) }));
const stateOf = (page) => page.locator('.job-head .chip');

before(async () => {
  assert.ok(existsSync(SPLAT), `${SPLAT} is missing: run \`cargo build\` first, or name the program in SPLAT_BIN`);
  await openBrowser();
});
after(() => openBrowser.close());

/** Starts the service on a free port with a folder of its own. */
async function serve(t, data = mkdtempSync(`${tmpdir()}/splat-page-`), options = []) {
  const child = spawn(SPLAT, ['serve', '--test-mode', '--bind', '127.0.0.1:0', '--data-dir', data, ...options], { stdio: ['ignore', 'pipe', 'pipe'] });
  t.after(async () => {
    child.kill('SIGTERM');
    await new Promise((resolve) => child.once('exit', resolve));
    rmSync(data, { recursive: true, force: true });
  });
  let said = '';
  const url = await new Promise((resolve, reject) => {
    const listen = (part) => {
      said += part;
      const [, found] = said.match(/listening on (http:\/\/[\d.]+:\d+)/) ?? [];
      if (found) resolve(found);
    };
    child.stdout.on('data', listen);
    child.stderr.on('data', listen);
    child.once('exit', (code) => reject(new Error(`splat serve ended with ${code}: ${said}`)));
  });
  return { url, data };
}

/** A port that is free now. */
const freePort = () => new Promise((resolve) => {
  const probe = createServer().listen(0, '127.0.0.1', () => {
    const { port } = probe.address();
    probe.close(() => resolve(port));
  });
});

/** nginx in its usual configuration, in front of `upstream`, which is then at `path`. */
async function nginx(t, port, path, upstream) {
  const folder = mkdtempSync(`${tmpdir()}/splat-nginx-`);
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join(' ');
  // Otherwise its workers would belong to another user, who cannot write to the folder.
  const user = process.getuid() === 0 ? 'user root;' : '';
  writeFileSync(`${folder}/nginx.conf`, `${user} pid ${folder}/pid; error_log stderr; events {} http { access_log off; ${temporary}
    server { listen 127.0.0.1:${port}; client_max_body_size 0;
      location ${path}/ { proxy_pass ${upstream}/; proxy_buffering off; proxy_read_timeout 1h; } } }`);
  const child = spawn('nginx', ['-c', `${folder}/nginx.conf`, '-g', 'daemon off;'], { stdio: ['ignore', 'inherit', 'inherit'] });
  t.after(async () => {
    child.kill('SIGTERM');
    await new Promise((resolve) => child.once('exit', resolve));
    rmSync(folder, { recursive: true, force: true });
  });
  const url = `http://127.0.0.1:${port}${path}`;
  for (;;) {
    assert.equal(child.exitCode, null, 'nginx does not start');
    if (await fetch(`${url}/healthz`).then((response) => response.ok, () => false)) return url;
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
}

/** Photos for the simulated pipeline. */
const acting = (page, test) => page.route('**/v1/jobs', (route) => {
  if (route.request().method() !== 'POST') return route.continue();
  const body = route.request().postDataJSON();
  return route.continue({ postData: JSON.stringify({ ...body, options: { ...body.options, test } }) });
});
/** Makes every stage of the service slow. */
const slowDown = (page, stageMs) => acting(page, { stage_ms: stageMs });

test('on the real service: from photos, one of them broken, to a scene that orbits', async (t) => {
  const server = await serve(t);
  const info = await (await fetch(`${server.url}/v1/info`)).json();
  assert.ok(info.viewer, 'the 3-D viewer is not built in: `make web`, then build again');
  const { page, sound } = await visit(t, { server, viewport: { width: 520, height: 640 }, tolerate: /status of 422|ERR_CONNECTION_RESET/ });
  await slowDown(page, 1500);
  let drops = 2;
  await page.route('**/v1/uploads/*', (route) => {
    if (route.request().method() !== 'PATCH' || drops === 0) return route.continue();
    drops -= 1;
    return route.abort('connectionreset');
  });
  await page.locator('input[type=file]').setInputFiles([...photos(6), { name: 'cut.png', mimeType: 'image/png', buffer: photos(1)[0].buffer.subarray(0, 400) }]);
  await page.getByRole('alert').getByText('cut.png').waitFor();
  await page.getByText('6 files uploaded').first().waitFor();
  assert.equal(drops, 0);
  await page.getByLabel('Name (optional)').fill('정원 문');
  await page.getByRole('button', { name: 'Create scene' }).click();
  await page.getByRole('heading', { level: 1, name: '정원 문' }).waitFor();
  await page.locator('.step.now').filter({ hasText: 'Training' }).waitFor();
  await page.locator('img.preview:not([hidden])').waitFor();
  assert.ok(await page.locator('img.preview').evaluate((image) => image.decode().then(() => image.naturalWidth > 0)));
  await page.reload(); // earlier events are replayed
  await stateOf(page).filter({ hasText: 'Ready' }).waitFor();
  await page.locator('.chart-line').nth(1).waitFor();
  const frame = page.frameLocator('iframe.viewer');
  await frame.locator('html[data-state=ready]').waitFor({ timeout: 30_000 });
  const canvas = frame.locator('canvas');
  await page.waitForTimeout(500);
  const first = await canvas.screenshot();
  assert.ok(colours(first) > 12, `the viewer shows ${colours(first)} colours`);
  const box = await canvas.boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width / 2 + 200, box.y + box.height / 2, { steps: 6 });
  await page.mouse.up();
  await changed(first, () => canvas.screenshot(), 'dragging does not move the scene');
  await page.locator('.fold').filter({ hasText: 'Log' }).locator('summary').click();
  await page.getByRole('log').filter({ hasText: /\S/ }).waitFor();
  const download = page.waitForEvent('download');
  await page.getByRole('link', { name: /scene\.ply/ }).click();
  assert.match((await download).suggestedFilename(), /scene\.ply$/);
  await page.getByRole('link', { name: 'All scenes' }).click();
  await page.getByRole('link', { name: '정원 문' }).waitFor();
  sound();
});

test('on the real service: a scene is looked at from elsewhere while it trains', async (t) => {
  const server = await serve(t);
  const { page, sound } = await visit(t, { server });
  await acting(page, { stage_ms: 100, hang_at: 'train' });
  await page.locator('input[type=file]').setInputFiles(photos(3));
  await page.getByRole('button', { name: 'Create scene' }).click();
  const look = page.locator('.look');
  await look.waitFor();
  const shown = page.locator('img.preview');
  const seen = async (text) => {
    await page.getByText(text).waitFor();
    // The picture of a camera at rest has the maximum size.
    await page.waitForFunction(() => document.querySelector('img.preview').naturalWidth === 480);
    return shown.screenshot();
  };
  await look.focus();
  await page.keyboard.press('ArrowRight');
  const first = await seen(/Your view after [\d,]+ steps/);
  const stage = await look.boundingBox();
  await page.mouse.move(stage.x + stage.width / 2, stage.y + stage.height / 2);
  await page.mouse.down();
  await page.mouse.move(stage.x + stage.width / 2 + 200, stage.y + stage.height / 2 + 60, { steps: 12 });
  await page.mouse.up();
  await changed(first, () => seen(/Your view/), 'dragging shows nothing new');
  sound();
});

test('on the real service: cancel, try again, delete', async (t) => {
  const server = await serve(t);
  const { page, sound } = await visit(t, { server });
  await slowDown(page, 3000);
  await page.locator('input[type=file]').setInputFiles(photos(3));
  await page.getByRole('button', { name: 'Create scene' }).click();
  await stateOf(page).filter({ hasText: 'Running' }).waitFor();
  await page.getByRole('button', { name: 'Cancel' }).click();
  await page.getByRole('button', { name: 'Stop it' }).click();
  await stateOf(page).filter({ hasText: 'Cancelled' }).waitFor();
  await page.getByRole('button', { name: 'Try again' }).click();
  await stateOf(page).filter({ hasText: /Waiting|Running/ }).waitFor();
  await page.getByRole('button', { name: 'Cancel' }).click();
  await page.getByRole('button', { name: 'Stop it' }).click();
  await stateOf(page).filter({ hasText: 'Cancelled' }).waitFor();
  await page.getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await page.getByText('None yet').waitFor();
  sound();
});

test('on the real service: with keys, the page asks for one', async (t) => {
  const data = mkdtempSync(`${tmpdir()}/splat-page-`);
  const said = execFileSync(SPLAT, ['keys', 'create', 'page', '--data-dir', data], { encoding: 'utf8' });
  const [key] = said.match(/splat_\w+/) ?? assert.fail(`no key in: ${said}`);
  const server = await serve(t, data);
  const { page, sound } = await visit(t, { server });
  await page.getByLabel('Key', { exact: true }).fill(key);
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByText('None yet').waitFor();
  await page.locator('input[type=file]').setInputFiles(photos(3));
  await page.getByRole('button', { name: 'Create scene' }).click();
  await stateOf(page).filter({ hasText: 'Ready' }).waitFor();
  await page.getByRole('button', { name: /scene\.ply/ }).waitFor();
  sound();
});

test('on the real service: a recorded gesture becomes a model that knows it, computed in the page', async (t) => {
  const server = await serve(t);
  const recording = { kind: 'gesture', parent: 'base_v1', gesture: 'one', layout: 'world', landmarks: gestureFrames(100, [1]) };
  const { page, sound } = await visit(t, { server, address: '/gestures' });
  await page.getByLabel('From a recorded file').setInputFiles({ name: 'one.json', mimeType: 'application/json', buffer: Buffer.from(JSON.stringify(recording)) });
  await page.getByText('100 frames recorded').waitFor();
  // The first gesture waits for the base model, which is trained once.
  await page.getByRole('button', { name: 'Add gesture' }).click();
  await page.locator('.answer').getByText('one ·').waitFor({ timeout: 120_000 });
  assert.equal(await page.getByRole('alert').count(), 0);
  sound();
});

test('on the real service: a gesture that looks like another is refused with its name, and added all the same on wish', async (t) => {
  const server = await serve(t);
  const { page, sound } = await visit(t, { server, address: '/gestures' });
  const recording = { kind: 'gesture', parent: 'base_v1', gesture: 'flat hand', layout: 'world', landmarks: gestureFrames(100, [0, 1, 2, 3, 4]) };
  await page.getByLabel('From a recorded file').setInputFiles({ name: 'flat.json', mimeType: 'application/json', buffer: Buffer.from(JSON.stringify(recording)) });
  await page.getByRole('button', { name: 'Add gesture' }).click();
  await page.getByText('“flat hand” looks like “paper”').waitFor({ timeout: 120_000 });
  await page.getByRole('button', { name: 'Add it all the same' }).click();
  await page.locator('.models').getByText('flat hand').first().waitFor();
  await page.locator('.models summary').first().click();
  await page.getByRole('group', { name: 'Files of the model' }).getByRole('link', { name: 'model.tflite', exact: true }).waitFor();
  sound();
});

const hasNginx = spawnSync('nginx', ['-v']).error === undefined;
assert.ok(hasNginx || !process.env.CI, 'nginx is missing: run scripts/setup.sh --test');

test('behind nginx, at a path of its own: page, upload, events, viewer, files', { skip: !hasNginx && 'nginx is missing' }, async (t) => {
  const [port, path] = [await freePort(), '/3d/scenes'];
  const { url: upstream } = await serve(t, undefined, ['--public-url', `http://127.0.0.1:${port}${path}`]);
  const url = await nginx(t, port, path, upstream);
  const { page, sound } = await visit(t, { server: { url } });
  await slowDown(page, 1500);
  await page.locator('input[type=file]').setInputFiles(photos(4));
  await page.getByText('4 files uploaded').first().waitFor();
  await page.getByRole('button', { name: 'Create scene' }).click();
  await page.locator('.step.now').filter({ hasText: 'Training' }).waitFor();
  await page.locator('img.preview:not([hidden])').waitFor();
  await stateOf(page).filter({ hasText: 'Ready' }).waitFor();
  await page.frameLocator('iframe.viewer').locator('html[data-state=ready]').waitFor({ state: 'attached' });
  const scene = await page.locator('a.download').filter({ hasText: 'PLY' }).first().getAttribute('href');
  assert.ok(scene.startsWith(`${path}/v1/jobs/`), scene);
  assert.ok((await fetch(new URL(scene, url))).ok);
  const first = page.url();
  await page.getByLabel('Quality', { exact: true }).last().selectOption('preview');
  await page.getByRole('button', { name: 'Train again' }).click();
  await page.waitForURL((address) => address.href !== first && address.hash.startsWith('#/jobs/'));
  await stateOf(page).filter({ hasText: 'Ready' }).waitFor();
  await page.getByRole('link', { name: 'Gestures' }).click();
  await page.waitForURL(`${url}/gestures`);
  await page.getByRole('link', { name: 'Scenes' }).click();
  await page.waitForURL((address) => address.pathname === `${path}/`);
  // URLs that clients follow.
  const begun = await fetch(`${url}/v1/uploads`, { method: 'POST', headers: { 'Tus-Resumable': '1.0.0', 'Upload-Length': '10', 'Upload-Metadata': `filename ${btoa('a.png')}` } });
  assert.ok(begun.headers.get('location').startsWith(`${path}/v1/uploads/`), begun.headers.get('location'));
  assert.ok((await fetch(new URL(begun.headers.get('location'), url), { method: 'HEAD', headers: { 'Tus-Resumable': '1.0.0' } })).ok);
  assert.equal((await (await fetch(`${url}/openapi.json`)).json()).servers[0].url, path);
  // A proxy that keeps the path, and clients on the same machine.
  assert.ok((await fetch(`${upstream}${path}/v1/info`)).ok);
  assert.ok((await fetch(`${upstream}/v1/info`)).ok);
  sound();
});
