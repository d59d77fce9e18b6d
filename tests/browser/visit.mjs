// Set-up of every browser test: a page on a new mock service, watched for errors.

import assert from 'node:assert/strict';

import { launch } from './browser.mjs';
import { startMock } from './mock.mjs';

const FAST = { stepMs: 25, trainSteps: 12 };
let browser;

/** Starts the browser of a test file; `openBrowser.close()` ends it. */
export async function openBrowser() {
  browser = await launch();
}
openBrowser.close = () => browser?.close();

/**
 * A page on a new mock service, or on `server: { url }`. `sound()` fails the test on any console error, exception, violation of the security policy,
 * request to another host, or key in an address; `tolerate` matches console errors that belong to the test.
 */
export async function visit(t, { mock: mockOptions = {}, server = null, address = '/?webgl', tolerate = null, ...context } = {}) {
  const mock = server ?? (await startMock({ ...FAST, ...mockOptions }));
  const shared = await browser.newContext({ locale: 'en-US', viewport: { width: 1280, height: 900 }, reducedMotion: 'reduce', ...context });
  const page = await shared.newPage();
  page.setDefaultTimeout(30_000);
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error' && !tolerate?.test(message.text())) complaints.push(message.text());
  });
  page.on('request', (request) => {
    if (!request.url().startsWith(mock.url) && !/^(blob|data):/.test(request.url())) complaints.push(`asked another host: ${request.url()}`);
    if (/splat_|Bearer|[?&]key=/.test(decodeURIComponent(request.url()))) complaints.push(`an address with a key: ${request.url()}`);
  });
  t.after(async () => {
    await shared.close();
    if (!server) await mock.stop();
  });
  await page.goto(mock.url + address);
  return { mock, page, complaints, sound: () => assert.deepEqual(complaints, []) };
}
