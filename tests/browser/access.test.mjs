// Accessibility of the page, in headless Chromium against the mock service: both languages, a phone, keyboard only, contrast, screen readers.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { photo } from './files.mjs';
import { openBrowser, visit } from './visit.mjs';

before(openBrowser);
after(() => openBrowser.close());

const photos = (count) => Array.from({ length: count }, (_, i) => ({ name: `IMG_${100 + i}.png`, mimeType: 'image/png', buffer: photo(i / 3, 160, 120) }));
const choose = (page, files) => page.locator('input[type=file]').setInputFiles(files);
const stateOf = (page) => page.locator('.job-head .chip');

test('Korean is whole, switches in place, and is remembered', async (t) => {
  const { page, mock, sound } = await visit(t, { locale: 'ko-KR' });
  await page.getByRole('heading', { level: 1, name: '사진으로 3D 장면 만들기' }).waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.lang), 'ko');
  await choose(page, [...photos(3), { name: '메모.txt', mimeType: 'text/plain', buffer: Buffer.from('hello') }]);
  await page.getByRole('alert').getByText('메모.txt').waitFor();
  const english = await page.locator('body').evaluate((body) => body.innerText.replace(/IMG_\d+\.png/g, '').match(/\b[A-Z]?[a-z]{4,}\b/g));
  assert.deepEqual([...new Set(english ?? [])].filter((word) => !['splat'].includes(word)), []);
  await page.getByRole('button', { name: 'EN' }).click();
  await page.getByRole('heading', { level: 1, name: 'Turn photos into a 3-D scene' }).waitFor();
  assert.match(await page.getByRole('alert').innerText(), /neither a photo/);
  assert.equal(await page.evaluate(() => document.documentElement.lang), 'en');
  await page.reload();
  await page.getByRole('heading', { level: 1, name: 'Turn photos' }).waitFor();
  assert.equal(mock.jobs.size, 0);
  sound();
});

test('on a phone nothing is wider than the screen, and targets are large enough for thumbs', async (t) => {
  const { page, sound } = await visit(t, { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, locale: 'ko-KR', colorScheme: 'dark' });
  const fits = async (where) => {
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= 390), `${where} is wider than the screen`);
    const small = await page.locator('button:visible, a:visible, summary:visible, select:visible').evaluateAll((all) => all.filter((element) => {
      const { width, height } = element.getBoundingClientRect();
      return width > 0 && (height < 24 || width < 24);
    }).map((element) => element.outerHTML.slice(0, 90)));
    assert.deepEqual(small, [], where);
  };
  await page.getByRole('heading', { level: 1 }).waitFor();
  await fits('home');
  await choose(page, photos(9));
  await page.locator('.advanced summary').click();
  await page.locator('.tile.sent').nth(8).waitFor();
  await fits('photos chosen');
  await page.getByRole('button', { name: '장면 만들기' }).click();
  await stateOf(page).filter({ hasText: '완료' }).waitFor();
  await page.frameLocator('iframe.viewer').locator('html[data-state=ready]').waitFor({ timeout: 30_000 });
  await fits('scene');
  sound();
});

test('on a phone the head of the page is one row in both languages', async (t) => {
  for (const locale of ['en-US', 'ko-KR']) {
    const { page, sound } = await visit(t, { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, locale, mock: { gestures: true } });
    await page.locator('#gestures-link').waitFor();
    const { height } = await page.locator('.top').boundingBox();
    assert.ok(height < 70, `${height} pixels in ${locale}`);
    sound();
  }
});

test('the keyboard alone is enough, and focus is never lost', async (t) => {
  const { page, sound } = await visit(t, { mock: { trainSteps: 400 } });
  // Awaited before anything else: if Enter came before Chromium knows that a file chooser is expected, it would open a hidden dialog, and
  // no second one while that is open.
  const chooser = page.waitForEvent('filechooser', { timeout: 120_000 });
  chooser.catch(() => {}); // a test that fails earlier has said why
  await page.getByText('None yet').waitFor();
  const focused = () => page.evaluate(() => document.activeElement?.textContent?.trim() || document.activeElement?.name || document.activeElement?.tagName);
  const tabTo = async (wanted) => {
    const seen = [];
    for (let i = 0; i < 40; i += 1) {
      await page.keyboard.press('Tab');
      seen.push(await focused());
      if (wanted.test(seen.at(-1))) return;
    }
    assert.fail(`${wanted} was not reached: ${seen.join(' | ')}`);
  };
  await page.keyboard.press('Tab');
  assert.equal(await focused(), 'Skip to content');
  await page.keyboard.press('Enter');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
  await tabTo(/^Choose photos$/);
  await page.keyboard.press('Enter');
  await (await chooser).setFiles(photos(4));
  await page.locator('.tile.sent').nth(3).waitFor();
  await tabTo(/^$|BUTTON/); // the first photo's remove button has a label, no text
  await page.keyboard.press('Enter');
  assert.equal(await page.locator('.tile').count(), 3);
  assert.match(await page.evaluate(() => document.activeElement.getAttribute('aria-label')), /^Remove IMG_101/);
  await tabTo(/^preset$/);
  await page.keyboard.press('ArrowLeft');
  await tabTo(/^Create scene$/);
  await page.keyboard.press('Enter');
  await page.locator('.job-page').waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.tagName), 'H1');
  await tabTo(/^Cancel$/);
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').waitFor();
  await tabTo(/^Stop it$/);
  await page.keyboard.press('Enter');
  await stateOf(page).filter({ hasText: 'Cancelled' }).waitFor();
  assert.ok(await page.evaluate(() => document.querySelector('main').contains(document.activeElement)), 'focus is lost after cancelling');
  sound();
});

test('names, landmarks and contrast are there for those who see differently', async (t) => {
  for (const colorScheme of ['light', 'dark']) {
    const { page, sound } = await visit(t, { colorScheme, mock: { trainSteps: 400 } });
    await choose(page, photos(3));
    await page.locator('.tile.sent').nth(2).waitFor();
    await page.locator('.advanced summary').click();
    for (const landmark of ['banner', 'navigation', 'main', 'contentinfo']) assert.equal(await page.getByRole(landmark).count(), 1, landmark);
    for (let view = 0; view < 2; view += 1) {
      assert.equal(await page.locator('h1').count(), 1);
      assert.deepEqual(await page.evaluate(nameless), []);
      assert.deepEqual(await page.evaluate(faint), [], colorScheme);
      if (view === 0) {
        await page.getByRole('button', { name: 'Create scene' }).click();
        await page.locator('.chart-line').first().waitFor();
      }
    }
    sound();
  }
});

test('a shared scene is in the language of who looks, and the viewer’s buttons have names', async (t) => {
  for (const [locale, lang, pause] of [['en-US', 'en', /^(Play|Pause)$/], ['ko-KR', 'ko', /^(재생|일시 정지)$/]]) {
    const { page, mock, sound } = await visit(t, { locale });
    await choose(page, photos(3));
    await page.locator('.create button[type=submit]').click();
    await page.locator('.chip.succeeded').waitFor();
    const [job] = mock.jobs.values();
    job.share = { url: `/shared/${'a'.repeat(26)}`, created_at: job.created_at };
    await page.goto(`${mock.url}${job.share.url}?webgl`);
    await page.locator('html[data-state=ready]').waitFor({ state: 'attached' });
    assert.equal(await page.evaluate(() => document.documentElement.lang), lang);
    assert.deepEqual(await page.evaluate(nameless), []);
    await page.getByRole('button', { name: pause }).first().waitFor();
    sound();
  }
});

/** In the page: controls without an accessible name. */
function nameless() {
  return [...document.querySelectorAll('button, a, input:not([tabindex="-1"]), select, progress, iframe, [role=img]')].filter((element) => {
    const labelled = element.getAttribute('aria-label') || element.labels?.length || element.textContent.trim() || element.title || element.querySelector('img[alt]')?.alt;
    return element.getClientRects().length > 0 && !labelled;
  }).map((element) => element.outerHTML.slice(0, 120));
}

/** In the page: texts with a contrast below 4.5, or 3 where they are large. */
function faint() {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = rgba(getComputedStyle(at).backgroundColor);
      if (color[3] > 250) return color;
    }
    return [255, 255, 255];
  };
  const faults = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || element.closest('.sr-only, .skip, noscript, option, :disabled') || element.getClientRects().length === 0) continue;
    const style = getComputedStyle(element);
    const [a, b] = [light(rgba(element.namespaceURI.includes('svg') ? style.fill : style.color)), light(behind(element))].sort((x, y) => y - x);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < (large ? 3 : 4.5)) faults.push(`${node.data.trim().slice(0, 30)}: ${contrast.toFixed(2)}`);
  }
  return faults;
}
