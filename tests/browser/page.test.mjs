// The page in headless Chromium against the mock service: what users do, and what may go wrong.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { after, before, test } from 'node:test';

import { photo } from './files.mjs';
import { changed, colours } from './pixels.mjs';
import { openBrowser, visit } from './visit.mjs';

const SHOTS = new URL('shots/', import.meta.url).pathname;
const photos = (count) => Array.from({ length: count }, (_, i) => ({ name: `IMG_${100 + i}.png`, mimeType: 'image/png', buffer: photo(i / 3, 160, 120) }));

before(async () => {
  mkdirSync(SHOTS, { recursive: true });
  await openBrowser();
});
after(() => openBrowser.close());

const choose = (page, files) => page.locator('input[type=file]').setInputFiles(files);
// The page's script replaces the title of the HTML file once it runs.
const titled = (page, title) => page.waitForFunction((title) => document.title === title, title);
const stateOf = (page) => page.locator('.job-head .chip');
const LOST = /Failed to load resource|ERR_/;

test('from photos to a scene that orbits', async (t) => {
  const { page, mock, sound } = await visit(t, { mock: { holdAt: 60 }, viewport: { width: 520, height: 640 } });
  await choose(page, photos(5));
  await page.getByText('5 files uploaded').first().waitFor();
  assert.equal(await page.locator('.tile').count(), 5);
  await page.waitForFunction(() => [...document.querySelectorAll('.tile canvas')].every((canvas) => canvas.getContext('2d').getImageData(72, 72, 1, 1).data[3] === 255));
  await page.getByLabel('Name (optional)').fill('Garden gate');
  await page.getByRole('radio', { name: /Preview/ }).check();
  await page.locator('.advanced summary').click();
  await page.getByRole('checkbox', { name: 'Keep lens distortion' }).check();
  const added = page.getByLabel('new option');
  assert.equal(await page.locator(`#${await added.getAttribute('aria-describedby')}`).innerText(), 'An option that the page has no text for');
  await added.fill('0.25');
  await page.getByRole('button', { name: 'Create scene' }).click();
  await page.getByRole('heading', { level: 1, name: 'Garden gate' }).waitFor();
  await page.locator('img.preview:not([hidden])').waitFor();
  await page.locator('.chart-line').first().waitFor();
  assert.ok(await page.locator('img.preview').evaluate((image) => image.src.startsWith('blob:')));
  assert.equal(await page.locator('.step[aria-current=step]').innerText(), '3\nTraining');
  mock.options.holdAt = 101;
  await stateOf(page).filter({ hasText: 'Ready' }).waitFor();
  assert.equal(await page.locator('.chart-line').count(), 2);
  assert.match(await page.locator('.figures').innerText(), /26\.83 dB/);

  const frame = page.frameLocator('iframe.viewer');
  await frame.locator('html[data-state=ready]').waitFor({ timeout: 30_000 });
  const canvas = frame.locator('canvas');
  await page.waitForTimeout(500);
  const first = await canvas.screenshot({ path: `${SHOTS}viewer-first.png` });
  assert.ok(colours(first) > 12, `the viewer shows ${colours(first)} colours`);
  const box = await canvas.boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width / 2 + 220, box.y + box.height / 2 + 20, { steps: 8 });
  await page.mouse.up();
  await changed(first, () => canvas.screenshot({ path: `${SHOTS}viewer-turned.png` }), 'dragging does not move the scene');

  const download = page.waitForEvent('download');
  await page.getByRole('link', { name: /scene\.ply/ }).click();
  assert.match((await download).suggestedFilename(), /^Garden-gate-scene\.ply$/);
  const [job] = mock.jobs.values();
  assert.deepEqual(job.options, { preset: 'preview', name: 'Garden gate', keep_distortion: true, new_option: 0.25 });
  assert.deepEqual(job.photos.map(({ name }) => name), photos(5).map(({ name }) => name));
  sound();
});

test('while it trains, a drag looks at the scene from elsewhere, one picture after the other', async (t) => {
  const { page, mock, sound } = await visit(t, { mock: { holdAt: 60 }, tolerate: /409/ });
  await choose(page, photos(5));
  await page.getByRole('button', { name: 'Create scene' }).click();
  await page.getByText('Drag to look around while it trains.').waitFor();
  const picture = page.locator('img.preview');
  await page.waitForFunction(() => document.querySelector('img.preview').naturalWidth === 480);
  const preview = await picture.screenshot();
  const box = await page.locator('.look').boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width / 2 + 200, box.y + box.height / 2, { steps: 20 });
  await page.mouse.up();
  await page.getByText(/Your view after [\d,]+ steps/).waitFor();
  await page.waitForFunction(() => document.querySelector('img.preview').naturalWidth === 80);
  await changed(preview, () => picture.screenshot(), 'dragging shows nothing new');
  // The last picture has the maximum size and is from the camera at which the drag ended: half the width is a quarter turn.
  const last = async () => {
    const seen = mock.looks.length;
    while (mock.looks.length === seen) await page.waitForTimeout(50);
    return mock.looks.at(-1);
  };
  const { camera, longest_side } = await last();
  const turn = (200 / box.width) * Math.PI;
  assert.equal(longest_side, 640);
  assert.ok(Math.abs(Math.atan2(camera.position[0], -camera.position[2]) + turn) < 0.05, `${camera.position} after ${turn}`);
  await page.locator('.look').focus();
  await page.keyboard.press('ArrowUp');
  while (mock.looks.at(-1).camera.position[1] > -0.1) await page.waitForTimeout(50);
  await page.getByRole('button', { name: 'Back to the photo’s view' }).click();
  await page.waitForFunction(() => document.querySelector('img.preview').naturalWidth === 480);
  // A finished scene is shown in 3-D, and no more pictures are requested.
  await page.mouse.move(box.x + 50, box.y + 50);
  await page.mouse.down();
  await page.mouse.move(box.x + 90, box.y + 50, { steps: 3 });
  await page.mouse.up();
  mock.options.holdAt = 101;
  await stateOf(page).filter({ hasText: 'Ready' }).waitFor();
  const asked = mock.looks.length;
  await page.waitForTimeout(2500);
  assert.ok(mock.looks.length <= asked + 1, 'it goes on asking');
  assert.equal(await page.locator('.look').count(), 0);
  sound();
});

test('files that cannot be used are named at once, with the reason', async (t) => {
  const { page, mock, sound } = await visit(t, { mock: { maxPhotos: 4 }, tolerate: /422/ });
  await choose(page, [
    ...photos(3),
    { name: 'holiday.cr3', mimeType: '', buffer: Buffer.from('\0\0\0\x18ftypcrx ') },
    { name: 'empty.jpg', mimeType: 'image/jpeg', buffer: Buffer.alloc(0) },
    { name: '<b>notes</b>.txt', mimeType: 'text/plain', buffer: Buffer.from('hello') },
    { name: 'cut.png', mimeType: 'image/png', buffer: photos(1)[0].buffer.subarray(0, 60) },
    { name: 'photos.zip', mimeType: 'application/zip', buffer: Buffer.from('PK\x03\x04') },
  ]);
  const refusals = page.getByRole('alert');
  await refusals.getByText('cut.png').waitFor();
  const text = await refusals.innerText();
  for (const part of [/holiday\.cr3 is a raw/, /empty\.jpg is empty/, /<b>notes<\/b>\.txt is neither/, /cut\.png .*cut off/, /photos\.zip cannot be mixed/]) assert.match(text, part);
  await choose(page, photos(6).slice(3));
  await refusals.getByText('IMG_104.png').waitFor();
  assert.match(await refusals.innerText(), /IMG_104\.png is one too many/);
  assert.equal(await page.locator('.tile').count(), 4);
  await page.getByRole('button', { name: 'Remove IMG_101.png' }).click();
  assert.equal(await page.locator('.tile').count(), 3);
  assert.equal(mock.jobs.size, 0);
  sound();
});

test('dropped connections cost time, never an upload, a job or its state', async (t) => {
  const { page, mock } = await visit(t, { mock: { dropPatches: 4, dropEvents: 2, loseSubmit: true, holdAt: 60 }, tolerate: LOST });
  const files = photos(4);
  await choose(page, files);
  await page.getByRole('button', { name: 'Create scene' }).click(); // while they are still on their way
  await page.locator('.job-page').waitFor();
  assert.equal(mock.jobs.size, 1, 'a lost answer made a second job');
  const { createHash } = await import('node:crypto');
  const [job] = mock.jobs.values();
  assert.deepEqual(job.photos.map(({ sha }) => sha), files.map(({ buffer }) => createHash('sha256').update(buffer).digest('hex')));
  await page.locator('.step.now').first().waitFor();
  mock.down = true;
  for (const running of mock.jobs.values()) for (const send of running.listeners ?? []) send(null);
  await page.locator('#banner:not([hidden])').waitFor();
  assert.match(await page.locator('#banner').innerText(), /Reconnecting/);
  assert.match(await stateOf(page).innerText(), /Running|Waiting/);
  mock.down = false;
  mock.options.holdAt = 101;
  await stateOf(page).filter({ hasText: 'Ready' }).waitFor();
  await page.locator('#banner[hidden]').waitFor({ state: 'attached' });
});

test('a scene is shared by a link that shows it alone, until the link is ended', async (t) => {
  const { page, mock, sound } = await visit(t, { tolerate: /404/ });
  await choose(page, photos(4));
  await page.getByLabel('Name (optional)').fill('Garden gate');
  await page.getByRole('button', { name: 'Create scene' }).click();
  await stateOf(page).filter({ hasText: 'Ready' }).waitFor();
  await page.getByRole('button', { name: 'Make a link' }).click();
  const link = await page.getByLabel('Link', { exact: true }).inputValue();
  assert.match(link, new RegExp(`^${mock.url}/shared/[0-9a-z]{26}$`));
  assert.match(await page.getByLabel('For your own web page', { exact: true }).inputValue(), new RegExp(`<iframe src="${link}"`));
  await page.getByRole('button', { name: 'Copy: Link' }).click();
  await page.getByRole('status').getByText(/Copied|copy it yourself/).waitFor();
  await page.getByLabel('Leave out what floats around the scene').check();
  const [job] = mock.jobs.values();
  await page.waitForTimeout(300);
  assert.deepEqual([job.share.drop_floaters, mock.url + job.share.url], [true, link]);
  // In another page, as a new visitor.
  const stranger = await page.context().browser().newContext();
  t.after(() => stranger.close());
  const shown = await stranger.newPage();
  await shown.goto(`${link}?webgl`);
  await shown.locator('html[data-state=ready]').waitFor({ state: 'attached', timeout: 30_000 });
  assert.equal(await shown.title(), 'Garden gate');
  await page.getByRole('button', { name: 'End the link' }).click();
  await page.getByRole('button', { name: 'Make a link' }).waitFor();
  await shown.reload();
  await shown.getByText('This link shows no scene any more.').waitFor();
  sound();
});

test('a scene is renamed, and kept for good', async (t) => {
  const { page, mock, sound } = await visit(t);
  await choose(page, photos(3));
  await page.getByRole('button', { name: 'Create scene' }).click();
  await stateOf(page).filter({ hasText: 'Ready' }).waitFor();
  await page.getByText(/^Kept until \D*\d/).waitFor();
  await page.getByRole('button', { name: 'Keep for good' }).click();
  await page.getByText('Kept until it is deleted.').waitFor();
  await page.getByRole('button', { name: 'Rename' }).click();
  await page.getByRole('dialog').getByLabel('Name').fill('정원 문');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { level: 1, name: '정원 문' }).waitFor();
  const [job] = mock.jobs.values();
  assert.deepEqual([job.name, job.pinned], ['정원 문', true]);
  await page.getByRole('button', { name: 'Rename' }).click();
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Let it expire' }).click();
  await page.getByText(/^Kept until \D*\d/).waitFor();
  await page.locator('.more-downloads summary').click();
  assert.deepEqual(await page.locator('.more-downloads a').evaluateAll((links) => links.map((link) => new URL(link.href).pathname.split('/').slice(4).join('/'))),
    ['scene/scene.compressed.ply', 'scene/scene.spz', 'scene/scene.sog', 'archives/photos.zip', 'archives/dataset.zip', 'archives/everything.zip']);
  await page.getByRole('link', { name: 'All scenes' }).click();
  await page.getByRole('link', { name: '정원 문' }).waitFor();
  await page.locator('.job').getByText('3 photos').waitFor();
  await page.locator('.job-picture img:not([hidden])').waitFor();
  sound();
});

test('files of an earlier visit are offered again, or taken back', async (t) => {
  const { page, mock, sound } = await visit(t);
  await choose(page, photos(4));
  await page.getByText('4 files uploaded').first().waitFor();
  await page.evaluate(() => localStorage.clear());
  await page.reload();
  await page.getByText('4 files').first().waitFor();
  await page.getByRole('button', { name: 'Use 4 files' }).click();
  await page.getByText('4 files uploaded').first().waitFor();
  await page.getByRole('button', { name: 'Create scene' }).click();
  await stateOf(page).filter({ hasText: /Running|Ready/ }).waitFor();
  assert.equal([...mock.jobs.values()][0].photos.length, 4);
  mock.uploads.clear();
  await page.goto(`${mock.url}/?webgl#/`);
  await page.reload();
  await choose(page, photos(2));
  await page.getByText('2 files uploaded').first().waitFor();
  await page.reload();
  await page.getByRole('button', { name: 'Remove them' }).click();
  await page.locator('.leftovers').waitFor({ state: 'hidden' });
  await page.waitForFunction(() => document.activeElement?.id === 'choose');
  await page.waitForTimeout(200);
  assert.equal(mock.uploads.size, 0);
  await choose(page, photos(1));
  await page.getByText('1 file uploaded').first().waitFor();
  await page.reload();
  await page.getByRole('button', { name: 'Remove it', exact: true }).waitFor();
  sound();
});

test('without a graphics card the quick preset is chosen, and without ffmpeg no video is offered', async (t) => {
  for (const [gpu, chosen, video] of [['software', 'preview', false], ['hardware', 'standard', true], [undefined, 'standard', true]]) {
    const { page, sound } = await visit(t, { mock: { gpu, video } });
    const checked = page.locator('input[name=preset]:checked');
    await checked.waitFor({ state: 'attached' });
    assert.equal(await checked.inputValue(), chosen, gpu);
    assert.equal((await page.locator('input[type=file]').getAttribute('accept')).includes('video'), video);
    assert.equal(await page.locator('#drop-hint').getByText('video').count(), video ? 1 : 0);
    sound();
  }
});

test('the preset for comparing recipes is apart from those for making scenes', async (t) => {
  const { page, mock, sound } = await visit(t);
  await choose(page, photos(3));
  const quality = page.getByRole('group', { name: 'Quality' });
  assert.deepEqual(await quality.getByRole('radio').evaluateAll((all) => all.map(({ value }) => value)), ['preview', 'standard', 'high']);
  const compared = page.getByRole('group', { name: 'For comparison' }).getByRole('radio', { name: /Reference/ });
  assert.equal(await compared.isVisible(), false);
  await page.locator('.advanced summary').click();
  await compared.check();
  assert.equal(await quality.getByRole('radio', { checked: true }).count(), 0, 'it is one choice of all');
  await page.getByRole('button', { name: 'Create scene' }).click();
  await stateOf(page).filter({ hasText: 'Ready' }).waitFor();
  assert.equal([...mock.jobs.values()][0].options.preset, 'reference');
  assert.deepEqual(await page.locator('.actions optgroup').evaluateAll((all) => all.map((group) => [group.label, group.textContent])), [['For comparison', 'Reference']]);
  sound();
});

test('the name of a scene is not the name of the next, and the tab says which in the language in force', async (t) => {
  const { page, sound } = await visit(t);
  await titled(page, 'splat · Turn photos into a 3-D scene');
  await choose(page, photos(3));
  await page.getByLabel('Name (optional)').fill('Garden gate');
  await page.getByRole('button', { name: 'Create scene' }).click();
  await page.getByRole('heading', { level: 1, name: 'Garden gate' }).waitFor();
  await page.getByRole('link', { name: 'All scenes' }).click();
  assert.equal(await page.getByLabel('Name (optional)').inputValue(), '');
  await page.getByRole('button', { name: '한국어' }).click();
  await titled(page, 'splat · 사진으로 3D 장면 만들기');
  sound();
});

test('a scene that ends before its training promises no picture and no lines, and has its place in the list', async (t) => {
  const { page, sound } = await visit(t);
  await choose(page, photos(3));
  await page.getByLabel('Name (optional)').fill('fails');
  await page.getByRole('button', { name: 'Create scene' }).click();
  await page.getByText('A picture appears here').waitFor();
  await stateOf(page).filter({ hasText: 'Failed' }).waitFor();
  await page.getByText('There is no picture of this scene.').waitFor();
  assert.equal(await page.locator('.chart:visible').count(), 0);
  await page.reload();
  await page.getByText('There is no picture of this scene.').waitFor();
  assert.equal(await page.locator('.chart:visible').count(), 0);
  await page.getByRole('link', { name: 'All scenes' }).click();
  await page.locator('.job .job-picture svg').waitFor();
  sound();
});

test('a failed scene says why, and can be tried again or deleted', async (t) => {
  const { page, mock, sound } = await visit(t);
  await choose(page, photos(3));
  await page.getByLabel('Name (optional)').fill('fails');
  await page.getByRole('button', { name: 'Create scene' }).click();
  await stateOf(page).filter({ hasText: 'Failed' }).waitFor();
  assert.match(await page.locator('.job-page .problem').innerText(), /no two photos|overlap/i);
  [...mock.jobs.values()][0].name = 'works';
  await page.getByLabel('Begin at').selectOption('mapping');
  await page.getByRole('button', { name: 'Try again' }).click();
  await stateOf(page).filter({ hasText: 'Ready' }).waitFor();
  await page.locator('.fold').filter({ hasText: 'Log' }).locator('summary').click();
  await page.getByRole('log').filter({ hasText: 'mapping' }).waitFor();
  await page.getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await page.getByText('None yet').waitFor();
  assert.equal(mock.jobs.size, 0);
  sound();
});

test('a running scene is cancelled only after a question', async (t) => {
  const { page, sound } = await visit(t, { mock: { trainSteps: 400 } });
  await choose(page, photos(3));
  await page.getByRole('button', { name: 'Create scene' }).click();
  await page.getByRole('button', { name: 'Cancel' }).click();
  await page.getByRole('button', { name: 'Let it run' }).click();
  assert.match(await stateOf(page).innerText(), /Running|Waiting/);
  await page.getByRole('button', { name: 'Cancel' }).click();
  await page.getByRole('button', { name: 'Stop it' }).click();
  await stateOf(page).filter({ hasText: 'Cancelled' }).waitFor();
  sound();
});

test('a key is asked for, sent in the header only, and a wrong one is said', async (t) => {
  const { page, mock, sound } = await visit(t, { mock: { key: 'splat_right' }, tolerate: /401/ });
  await page.getByRole('dialog').waitFor();
  await page.getByLabel('Key', { exact: true }).fill('splat_wrong');
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByText('not accepted').waitFor();
  await page.getByLabel('Key', { exact: true }).fill('splat_right');
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByText('None yet').waitFor();
  await choose(page, photos(3));
  await page.getByRole('button', { name: 'Create scene' }).click();
  await stateOf(page).filter({ hasText: 'Ready' }).waitFor();
  await page.frameLocator('iframe.viewer').locator('html[data-state=ready]').waitFor({ timeout: 30_000 });
  const download = page.waitForEvent('download');
  await page.getByRole('button', { name: /scene\.ply/ }).click();
  assert.match((await download).suggestedFilename(), /scene\.ply$/);
  assert.ok(await page.evaluate(() => sessionStorage.length > 0 && !Object.keys(localStorage).includes('splat.api_key')));
  assert.ok(mock.requests.every((line) => !line.includes('splat_right')));
  sound();
});

test('150 photos are sent at once, and drawn when they are seen', async (t) => {
  const { page, sound } = await visit(t, { mock: { maxPhotos: 150 } });
  const one = photo(1, 160, 120);
  await choose(page, Array.from({ length: 150 }, (_, i) => ({ name: `IMG_${1000 + i}.png`, mimeType: 'image/png', buffer: one })));
  await page.getByText('150 files uploaded').first().waitFor({ timeout: 300_000 });
  const drawn = await page.locator('.tile canvas').evaluateAll((all) => all.filter((canvas) => canvas.getContext('2d').getImageData(9, 9, 1, 1).data[3] > 0).length);
  assert.ok(drawn >= 6 && drawn < 100, `${drawn} thumbnails are drawn`);
  sound();
});

test('without the viewer the page says so, and the downloads work', async (t) => {
  const { page, sound } = await visit(t, { mock: { viewer: false } });
  await page.getByText('was not built into this server').waitFor();
  await choose(page, photos(3));
  await page.getByRole('button', { name: 'Create scene' }).click();
  await page.getByRole('link', { name: /scene\.ply/ }).waitFor();
  assert.equal(await page.locator('iframe').count(), 0);
  sound();
});
