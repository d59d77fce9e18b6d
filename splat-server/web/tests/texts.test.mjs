// Both languages have the same texts, and the page uses no others.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

import en from '../assets/js/lang/en.js';
import ko from '../assets/js/lang/ko.js';

globalThis.navigator ??= { languages: ['en'] };
globalThis.document ??= { documentElement: {}, querySelectorAll: () => [], createTreeWalker: () => ({ nextNode: () => null }) };
globalThis.NodeFilter ??= {};
const { serverText, setLanguage } = await import('../assets/js/i18n.js');

const web = new URL('../', import.meta.url);
const forms = (entry) => (typeof entry === 'string' ? [entry] : Object.values(entry));
const parameters = (entry) => [...new Set(forms(entry).flatMap((text) => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)))].sort();

test('Korean and English have the same keys in the same order', () => {
  assert.deepEqual(Object.keys(ko), Object.keys(en));
  assert.ok(Object.keys(en).length > 150);
});

test('every text has the same parameters in both languages', () => {
  for (const key of Object.keys(en)) assert.deepEqual(parameters(ko[key]), parameters(en[key]), key);
});

test('Korean is Korean, but for names', () => {
  const names = new Set(['nav.api', 'option.strategy.mcmc', 'option.renderer.3dgut', 'figure.psnr', 'figure.ssim', 'job.ended', 'chart.empty']);
  for (const [key, entry] of Object.entries(ko)) {
    if (!names.has(key)) assert.match(forms(entry).join(' '), /[가-힣]/, key);
  }
});

test('every text that the page names is there, and none is left over', () => {
  const named = new Set();
  const folder = new URL('assets/js/', web);
  const sources = readdirSync(folder, { recursive: true }).filter((name) => name.endsWith('.js') && !name.startsWith('lang')).map((name) => readFileSync(new URL(name, folder), 'utf8'));
  for (const source of sources) {
    for (const [, key] of source.matchAll(/'([a-z_]+(?:\.[a-z_0-9]+)+)'/g)) named.add(key);
  }
  for (const page of readdirSync(web).filter((name) => name.endsWith('.html'))) {
    for (const [, key] of readFileSync(new URL(page, web), 'utf8').matchAll(/data-t(?:-label)?="([^"]+)"/g)) named.add(key);
  }
  const families = /^(artifact|code|reason|option|preset|stage|state|step|duration|gesture\.metric)\./; // made from a name that the service sends
  const events = /^(manifest|splat\.|scene\.|(photos|dataset|everything)\.zip|preview\.png|comparison\.png|cameras\.json|metrics\.json|log\.txt)/; // no texts
  for (const key of named) {
    if (!events.test(key) && Object.keys(en).some((known) => known.split('.')[0] === key.split('.')[0])) assert.ok(Object.hasOwn(en, key), `${key} is named, but has no text`);
  }
  for (const key of Object.keys(en)) assert.ok(named.has(key) || families.test(key) || key === 'skip', `${key} is never shown`);
});

test('what the service refuses is said in the language of the page', () => {
  const reasons = [{ code: 'too_few_frames', params: { found: 39, least: 40, most: 600 } }];
  setLanguage('ko');
  assert.equal(serverText('invalid', '39 frames are too few', reasons), '녹화에는 40프레임 이상이 필요합니다. 이 녹화는 39프레임입니다.');
  assert.equal(serverText('invalid', '`seed` cannot be used'), '쓸 수 없는 값이 있습니다: `seed` cannot be used');
  assert.equal(serverText('new_word', 'as it comes', [{ code: 'new_reason' }]), 'as it comes');
  setLanguage('en');
  assert.equal(serverText('invalid', '39 frames are too few', reasons), 'A recording needs at least 40 frames; this one has 39.');
  assert.equal(serverText('invalid', '`seed` cannot be used'), '`seed` cannot be used');
});
