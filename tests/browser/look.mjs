// Screenshots of every view, light and dark, wide and narrow, in tests/browser/shots, for a person to look at.
//
//   node tests/browser/look.mjs

import { mkdirSync } from 'node:fs';

import { launch } from './browser.mjs';
import { photo } from './files.mjs';
import { startMock } from './mock.mjs';

const shots = new URL('shots/', import.meta.url).pathname;
mkdirSync(shots, { recursive: true });
const only = process.argv[2];

const mock = await startMock({ stepMs: 100, trainSteps: 40 });
const browser = await launch();
const files = Array.from({ length: 14 }, (_, i) => ({ name: `IMG_${2041 + i}.png`, mimeType: 'image/png', buffer: photo(i / 3) }));

for (const [label, viewport, colorScheme, locale] of [
  ['desktop-light', { width: 1280, height: 900 }, 'light', 'en-US'],
  ['desktop-dark', { width: 1280, height: 900 }, 'dark', 'en-US'],
  ['phone-light', { width: 390, height: 844 }, 'light', 'ko-KR'],
  ['phone-dark', { width: 390, height: 844 }, 'dark', 'ko-KR'],
]) {
  if (only && !label.includes(only)) continue;
  const context = await browser.newContext({ viewport, colorScheme, locale, reducedMotion: 'reduce', deviceScaleFactor: 1 });
  const page = await context.newPage();
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && console.log(label, message.text()));
  const shot = (name) => page.screenshot({ path: `${shots}${label}-${name}.png`, fullPage: true });
  await page.goto(`${mock.url}/?webgl`);
  await page.locator('input[type=file]').waitFor({ state: 'attached' });
  await shot('1-home');
  await page.locator('input[type=file]').setInputFiles([...files, { name: 'IMG_0001.HEIC', mimeType: 'image/heic', buffer: Buffer.from('\0\0\0\x18ftypheic\0\0\0\0') }]);
  await page.waitForTimeout(900);
  await page.locator('.advanced summary').click();
  await shot('2-chosen');
  await page.locator('.create button[type=submit]').click();
  await page.locator('.job-page').waitFor();
  await page.locator('.preview:not([hidden])').waitFor();
  await page.waitForTimeout(1500);
  await shot('3-running');
  await page.locator('iframe.viewer').waitFor({ timeout: 20000 });
  await page.frameLocator('iframe.viewer').locator('html[data-state=ready]').waitFor({ timeout: 30000 });
  await page.waitForTimeout(1500);
  await shot('4-done');
  await page.goto(`${mock.url}/?webgl#/`);
  await page.locator('.job').first().waitFor();
  await shot('5-list');
  await context.close();
}
await browser.close();
await mock.stop();
