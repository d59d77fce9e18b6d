// `splat view`: the page that the program serves for one scene, and the file that it exports.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { cameras, scenePly } from './files.mjs';
import { changed, colours, distance } from './pixels.mjs';
import { openBrowser, visit } from './visit.mjs';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const SPLAT = resolve(process.env.SPLAT_BIN ?? `${process.env.CARGO_TARGET_DIR ?? `${ROOT}target`}/debug/splat`);
const SHOTS = fileURLToPath(new URL('shots/', import.meta.url));
let folder;

before(async () => {
  assert.ok(existsSync(SPLAT), `${SPLAT} is missing: run \`cargo build\` first, or name the program in SPLAT_BIN`);
  mkdirSync(SHOTS, { recursive: true });
  folder = mkdtempSync(`${tmpdir()}/splat-view-`);
  // As after a run.
  mkdirSync(`${folder}/out/ply`, { recursive: true });
  writeFileSync(`${folder}/out/ply/point_cloud_99.ply`, scenePly());
  writeFileSync(`${folder}/out/cameras.json`, JSON.stringify(cameras()));
  await openBrowser();
});
after(async () => {
  await openBrowser.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Serves a scene and returns its URL without the trailing slash. */
async function view(t, scene) {
  const child = spawn(SPLAT, ['view', scene, '--no-open', '--json'], { stdio: ['ignore', 'pipe', 'pipe'] });
  t.after(async () => {
    if (child.exitCode === null) {
      child.kill('SIGINT');
      await new Promise((done) => { child.once('exit', done); });
    }
    assert.equal(child.exitCode, 0, 'Ctrl-C does not end it in order');
  });
  let said = '';
  return new Promise((done, fail) => {
    child.stdout.on('data', (part) => {
      said += part;
      const [, found] = said.match(/"url":"(http:\/\/127\.0\.0\.1:\d+)\/"/) ?? [];
      if (found) done({ url: found });
    });
    child.once('exit', (code) => fail(new Error(`splat view ended with ${code}: ${said}`)));
  });
}

/** Waits until the scene is drawn and takes a screenshot. */
async function drawn(page, name) {
  await page.locator('html[data-state=ready]').waitFor({ timeout: 30_000 });
  await page.waitForTimeout(500);
  const shot = await page.locator('canvas').screenshot({ path: `${SHOTS}${name}.png` });
  assert.ok(colours(shot) > 12, `${name} shows ${colours(shot)} colours`);
  return shot;
}

const small = { viewport: { width: 520, height: 480 } };

test('a run, a file in another form and an exported page look alike, and the scene orbits', async (t) => {
  const served = await visit(t, { server: await view(t, `${folder}/out`), ...small });
  const first = await drawn(served.page, 'view-run');
  const box = await served.page.locator('canvas').boundingBox();
  await served.page.mouse.move(box.x + 200, box.y + 200);
  await served.page.mouse.down();
  await served.page.mouse.move(box.x + 420, box.y + 220, { steps: 8 });
  await served.page.mouse.up();
  await changed(first, () => served.page.locator('canvas').screenshot(), 'dragging does not move the scene');
  served.sound();

  // The same scene from a format that the viewer does not read: also upright, with the same initial camera.
  execFileSync(SPLAT, ['convert', `${folder}/out`, `${folder}/out/room.spz`, '-q']);
  const spz = await visit(t, { server: await view(t, `${folder}/out/room.spz`), ...small });
  const other = await drawn(spz.page, 'view-spz');
  assert.ok(distance(first, other) < 0.05, `the SPZ looks otherwise: ${distance(first, other)}`);
  spz.sound();

  execFileSync(SPLAT, ['view', `${folder}/out`, '--export', `${folder}/scene.html`, '-q']);
  const file = await visit(t, { server: { url: pathToFileURL(folder).href }, address: '/scene.html?webgl', ...small });
  const exported = await drawn(file.page, 'view-exported');
  assert.ok(distance(first, exported) < 0.05, `the exported page looks otherwise: ${distance(first, exported)}`);
  assert.equal(await file.page.title(), 'out');
  file.sound();
});

test('a scene without cameras is framed, and one that was turned is upright', async (t) => {
  writeFileSync(`${folder}/alone.ply`, scenePly());
  const alone = await visit(t, { server: await view(t, `${folder}/alone.ply`), ...small });
  await drawn(alone.page, 'view-alone');
  alone.sound();
  execFileSync(SPLAT, ['convert', `${folder}/alone.ply`, `${folder}/moved.html`, '--scale', '40', '-q']);
  const moved = await visit(t, { server: { url: pathToFileURL(folder).href }, address: '/moved.html?webgl', ...small });
  await drawn(moved.page, 'view-moved');
  moved.sound();
});

test('a page elsewhere whose name points here gets nothing', async (t) => {
  const { url } = await view(t, `${folder}/out`);
  const { request } = await import('node:http');
  const status = (host) => new Promise((done) => {
    request(`${url}/scene.ply`, { headers: { host } }, (answer) => {
      answer.resume();
      done(answer.statusCode);
    }).end();
  });
  assert.deepEqual([await status('evil.example'), await status(new URL(url).host)], [421, 200]);
});
