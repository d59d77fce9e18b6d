// The results of a finished scene: the 3-D viewer, downloads, and the comparison of photos with renders.

import { at, inOrder, objectUrl, sendPatiently } from './api.js';
import { h, icon } from './dom.js';
import { bytes } from './format.js';
import { has, L, language, live, t, tx } from './i18n.js';
import { apiKey } from './key.js';

/** The frame of the 3-D viewer; it fetches the scene itself, with the key. */
export function viewerFrame(job, info) {
  if (!info.viewer) {
    return h('div', { class: 'notice' }, h('p', {}, tx('viewer.missing')), h('pre', { class: 'command' }, 'make web && make build'));
  }
  const query = new URLSearchParams({ job: job.id, lang: language() });
  if (new URLSearchParams(location.search).has('webgl')) query.set('webgl', '');
  return h('iframe', { src: at(`/viewer/?${query}`), title: L('viewer.title'), allow: 'fullscreen; xr-spatial-tracking', class: 'viewer' });
}

/** Order of the downloads: most wanted first. */
const ORDER = ['scene.ply', 'preview.png', 'comparison.png', 'cameras.json', 'metrics.json', 'log.txt'];

/** The card of downloads. */
export function downloadsCard(job, info = {}) {
  const rank = ({ name }) => (ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length);
  const wanted = (job.artifacts ?? []).filter(({ name }) => !name.startsWith('eval-')).sort((a, b) => rank(a) - rank(b));
  const list = (files) => h('ul', { class: 'downloads' }, files.map((artifact) => h('li', {}, downloadControl(job, artifact))));
  const { scene, archives } = job.links ?? {};
  const has_scene = job.state === 'succeeded' && wanted.some(({ name }) => name === 'scene.ply');
  const forms = scene && has_scene ? (info.scene_forms ?? []).filter((name) => name !== 'scene.ply').map((name) => ({ name, url: `${scene}/${name}` })) : [];
  const zips = archives ? ['photos.zip', 'dataset.zip', 'everything.zip'].map((name) => ({ name, url: `${archives}/${name}` })) : [];
  return h('section', { class: 'card', 'aria-labelledby': 'downloads-title' }, h('h2', { id: 'downloads-title' }, tx('downloads.title')), list(wanted),
    forms.length + zips.length === 0 ? null : h('details', { class: 'fold more-downloads' }, h('summary', {}, tx('downloads.more')), list([...forms, ...zips])));
}

function downloadControl(job, artifact) {
  const label = [icon('download'),
    h('span', { class: 'download-name' }, live(() => (has(`artifact.${artifact.name}`) ? t(`artifact.${artifact.name}`) : artifact.name)),
      h('span', { class: 'muted small' }, live(() => [` ${artifact.name}`, Number.isFinite(artifact.bytes) ? bytes(artifact.bytes) : ''].filter(Boolean).join(' · '))))];
  return fileControl(artifact, `${fileStem(job)}-${artifact.name}`, 'download', label);
}

/** A control that saves `artifact` as `name`. */
export function fileControl(artifact, name, look, label) {
  if (!apiKey()) return h('a', { class: look, href: at(artifact.url), download: name }, label);
  // A link cannot carry the key: the file is fetched, then saved.
  const button = h('button', { type: 'button', class: look, onclick: () => fetchAndSave(button, artifact, name) }, label);
  return button;
}

async function fetchAndSave(button, artifact, name) {
  button.disabled = true;
  // The size of a file that is generated while it is sent is unknown.
  const progress = h('progress', { max: artifact.bytes ?? false, 'aria-label': L('downloads.progress', { name: artifact.name }) });
  button.append(progress);
  try {
    const response = await sendPatiently(artifact.url, { tries: 5 });
    const parts = [];
    let received = 0;
    const reader = response.body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      parts.push(value);
      received += value.length;
      if (artifact.bytes) progress.value = received;
    }
    const url = URL.createObjectURL(new Blob(parts, { type: artifact.content_type }));
    h('a', { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  } catch {
    button.after(h('p', { class: 'problem small', role: 'alert' }, tx('downloads.failed')));
  }
  progress.remove();
  button.disabled = false;
}

function fileStem(job) {
  const stem = (job.name ?? '').normalize('NFC').replace(/[^\p{L}\p{N}]+/gu, '-').replace(/^-|-$/g, '').slice(0, 40);
  return stem || `scene-${job.id.slice(0, 6)}`;
}

/** The pictures that compare held-out photos with renders; null where there are none. */
export function comparisonCard(job, signal) {
  const artifacts = job.artifacts ?? [];
  const whole = artifacts.filter(({ name }) => name === 'comparison.png');
  const pictures = (whole.length > 0 ? whole : artifacts.filter(({ name }) => /^eval-\d+\.png$/.test(name))).slice(0, 6);
  if (pictures.length === 0) return null;
  const row = h('div', { class: 'comparisons' });
  for (const artifact of pictures) {
    const image = h('img', { alt: L('comparison.alt'), loading: 'lazy', decoding: 'async' });
    row.append(image);
    showPicture(image, artifact.url, signal);
  }
  return h('section', { class: 'card', 'aria-labelledby': 'comparison-title' },
    h('h2', { id: 'comparison-title' }, tx('comparison.title')), h('p', { class: 'muted' }, tx('comparison.text')), row);
}

/** For each image, what puts a loaded picture into it. */
const loaders = new WeakMap();

/** Shows a picture of the service in `image`, and releases the previous one. */
export async function showPicture(image, url, signal) {
  if (!loaders.has(image)) {
    loaders.set(image, inOrder((fresh) => {
      const before = image.src;
      image.src = fresh;
      image.hidden = false;
      if (before.startsWith('blob:')) URL.revokeObjectURL(before);
    }, URL.revokeObjectURL));
  }
  try {
    await loaders.get(image)(objectUrl(url, { signal, cache: 'no-cache', tries: 4 }));
  } catch {
    // another preview will follow
  }
}

