// The document in the frame: starts SuperSplat's viewer on one job's scene, or on the scene of a link. Only an id is taken from the
// address, never an address; the key travels in a header as everywhere else.

import { createViewer } from '../viewer/index.js';
import { at, getJson, send } from './api.js';
import { LANGUAGES, t } from './i18n.js';
import { startFrom } from './pose.js';

const query = new URLSearchParams(location.search);
/** The end of a link: `/shared/<secret>`. */
const SECRET = location.pathname.match(/\/shared\/([0-9a-z]{26})$/)?.[1] ?? null;

function tell(state, key) {
  document.documentElement.dataset.state = state;
  if (key) {
    const message = document.getElementById('message');
    message.textContent = t(key);
    message.hidden = false;
  }
  if (window.parent !== window && !SECRET) window.parent.postMessage({ type: 'splat:viewer', state }, location.origin);
}

/** An experience of the viewer's format, version 2: no effects, colours as trained. */
function settings(initial) {
  const off = { enabled: false };
  return {
    version: 2,
    tonemapping: 'none',
    highPrecisionRendering: false,
    background: { color: [0.063, 0.078, 0.114] },
    postEffectSettings: {
      sharpness: { ...off, amount: 0 },
      bloom: { ...off, intensity: 1, blurLevel: 2 },
      grading: { ...off, brightness: 0, contrast: 1, saturation: 1, tint: [1, 1, 1] },
      vignette: { ...off, intensity: 0.5, inner: 0.3, outer: 0.75, curvature: 1 },
      fringing: { ...off, intensity: 0.5 },
    },
    animTracks: [],
    cameras: initial ? [{ initial }] : [],
    annotations: [],
    startMode: 'default',
  };
}

function hasWebGl2() {
  return Boolean(document.createElement('canvas').getContext('webgl2'));
}

/** The viewer's list of keys covers half of a small frame: folded away until somebody opens it. */
function foldControls() {
  try {
    if (localStorage.getItem('controlsPanelOpen') === null) localStorage.setItem('controlsPanelOpen', 'false');
  } catch {
    // no storage: the list stays open
  }
}

async function start() {
  const id = query.get('job') ?? '';
  if (!SECRET && !/^[0-9a-z]{26}$/.test(id)) return tell('failed', 'viewer.failed');
  const lang = Object.hasOwn(LANGUAGES, query.get('lang')) ? query.get('lang') : 'en';
  document.documentElement.lang = lang;
  if (!navigator.gpu && !hasWebGl2()) return tell('failed', 'viewer.no_graphics');
  const about = SECRET ? `/v1/shared/${SECRET}` : `/v1/jobs/${id}`;
  // A quarter of the bytes for those who look from far away; the owner sees the scene as it was trained.
  const file = SECRET ? 'scene.compressed.ply' : 'scene.ply';
  const scene = SECRET ? `${about}/${file}` : `${about}/artifacts/${file}`;
  const contents = send(scene);
  contents.catch(() => {}); // reported below
  const job = await getJson(about, { tries: 3 });
  if (SECRET && job.name) document.title = job.name;
  const named = (job.artifacts ?? job.files).find(({ name }) => name === 'cameras.json');
  const cameras = named ? await getJson(named.url, { tries: 3 }).catch(() => null) : null;
  const { rotation, initial } = startFrom(cameras);
  await contents;
  foldControls();
  const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
  const viewer = await createViewer({
    container: document.getElementById('viewer'),
    settings: settings(initial),
    contentUrl: at(scene),
    contentFilename: file,
    contents,
    renderer: query.has('webgl') || !navigator.gpu ? 'webgl' : 'webgpu',
    noanim: still,
    lang,
  });
  // What copy-dist.mjs took out of the viewer's markup.
  for (const type of ['pointerdown', 'wheel']) {
    for (const element of document.querySelectorAll(`[data-stop-${type}]`)) element.addEventListener(type, (event) => event.stopPropagation());
  }
  // The scene hangs below the root from the moment it is read, before the viewer measures it.
  const upright = (node) => {
    if (node.name === 'gsplat') node.setLocalRotation(...rotation);
  };
  viewer.app.root.children.forEach(upright);
  viewer.app.root.on('childinsert', upright);
  if (viewer.state.loaded) tell('ready');
  else viewer.events.on('loaded:changed', () => tell('ready'));
}

tell('loading');
start().catch((error) => {
  console.warn('the viewer did not start:', error);
  tell('failed', SECRET && error.status === 404 ? 'viewer.revoked' : 'viewer.failed');
});
