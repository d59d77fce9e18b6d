// The page: one frame, two views. `#/` creates and lists scenes, `#/jobs/<id>` shows one.

import { getJson } from './api.js';
import { onConnection } from './connection.js';
import { createCard } from './create.js';
import { fill, h } from './dom.js';
import { setTitle, setUpFrame } from './frame.js';
import { t, tx } from './i18n.js';
import { jobView } from './job.js';
import { apiKey, askForKey } from './key.js';
import { listCard } from './list.js';
import { errorText } from './states.js';

const main = document.getElementById('main');
let leave = () => {};

function homeView(info, create) {
  const list = listCard();
  const title = h('h1', { tabindex: -1 }, tx('home.title'));
  const element = h('div', { class: 'home' },
    h('header', { class: 'hero' }, title, h('p', { class: 'lead' }, tx('home.lead')),
      info.viewer ? null : h('p', { class: 'notice' }, tx('viewer.missing'), ' ', h('code', {}, 'make web && make build')),
      info.test_mode ? h('p', { class: 'notice' }, tx('home.test_mode')) : null),
    h('div', { class: 'columns' }, create, h('div', { class: 'side' }, list.element, tipsCard())));
  setTitle(() => `splat · ${t('home.title')}`);
  return { element, stop: list.stop };
}

/** Advice on taking photos, shown before they are chosen. */
function tipsCard() {
  return h('section', { class: 'card', 'aria-labelledby': 'tips-title' },
    h('h2', { id: 'tips-title' }, tx('tips.title')),
    h('ul', { class: 'tips' }, ['tips.move', 'tips.overlap', 'tips.count', 'tips.still', 'tips.avoid'].map((key) => h('li', {}, tx(key)))));
}

function route(info, create, first) {
  leave();
  const [, job] = location.hash.match(/^#\/jobs\/([0-9a-z]+)$/) ?? [];
  const view = job ? jobView(job, info) : homeView(info, create);
  leave = view.stop;
  fill(main, view.element);
  window.scrollTo(0, 0);
  if (!first && !job) main.querySelector('h1').focus({ preventScroll: true });
}

async function start() {
  setUpFrame();
  const banner = document.getElementById('banner');
  onConnection((state) => {
    banner.hidden = state === 'ok';
    fill(banner, state === 'ok' ? null : tx('connection.reconnecting'));
  });
  fill(main, h('p', { class: 'muted' }, tx('home.loading')));
  const info = await getJson('/v1/info');
  document.getElementById('version').textContent = info.version ? `splat ${info.version}` : 'splat';
  document.getElementById('gestures-link').hidden = !info.gestures;
  if (info.auth_required && !apiKey()) await askForKey();
  // The card is kept as long as the page: photos continue to upload while another view is shown.
  const create = createCard(info, { onCreated: (job) => { location.hash = `#/jobs/${job.id}`; } });
  window.addEventListener('hashchange', () => route(info, create, false));
  route(info, create, true);
}

start().catch((error) => fill(main, h('p', { class: 'notice problem', role: 'alert' }, errorText(error))));
