// SuperSplat's viewer with one scene in it, filling the document: for the frame of a job and for the page of `splat view`.

import { createViewer } from '../viewer/index.js';
import { t } from './i18n.js';
import { startFrom } from './pose.js';

/** Labels of the viewer's buttons by class: they are icons, which only have tooltips. */
const BUTTONS = {
  play: 'viewer.play', pause: 'viewer.pause', orbitCamera: 'viewer.orbit', flyCamera: 'viewer.fly', fpsCamera: 'viewer.walk', settings: 'viewer.settings', controlsButton: 'viewer.controls',
  controlsHintClose: 'viewer.close', info: 'viewer.info', infoClose: 'viewer.close', arMode: 'viewer.ar', vrMode: 'viewer.vr', enterFullscreen: 'viewer.fullscreen',
  exitFullscreen: 'viewer.window',
};

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

/** Whether the browser supports 3-D graphics. */
export function hasGraphics() {
  return Boolean(navigator.gpu || document.createElement('canvas').getContext('webgl2'));
}

/** The viewer's list of keys covers half of a small frame, so it starts closed. */
function foldControls() {
  try {
    if (localStorage.getItem('controlsPanelOpen') === null) localStorage.setItem('controlsPanelOpen', 'false');
  } catch {
    // no storage: the list stays open
  }
}

/**
 * Shows a scene in `#viewer`. `contents` is a promise of the response with the file, `name` the file's name, whose extension gives the format, `cameras` the
 * content of cameras.json or null. Resolves when the scene is drawn.
 */
export async function show({ contents, url, name, cameras, lang }) {
  const { rotation, initial } = startFrom(cameras);
  foldControls();
  const viewer = await createViewer({
    container: document.getElementById('viewer'),
    settings: settings(initial),
    contentUrl: url,
    contentFilename: name,
    contents,
    renderer: new URLSearchParams(location.search).has('webgl') || !navigator.gpu ? 'webgl' : 'webgpu',
    noanim: matchMedia('(prefers-reduced-motion: reduce)').matches,
    lang,
  });
  for (const [name, key] of Object.entries(BUTTONS)) document.querySelector(`.sse-${name}`)?.setAttribute('aria-label', t(key));
  // Elements that copy-dist.mjs removed from the viewer's markup.
  for (const type of ['pointerdown', 'wheel']) {
    for (const element of document.querySelectorAll(`[data-stop-${type}]`)) element.addEventListener(type, (event) => event.stopPropagation());
  }
  // The scene is attached to the root once it is read, before the viewer measures it.
  const upright = (node) => {
    if (node.name === 'gsplat') node.setLocalRotation(...rotation);
  };
  viewer.app.root.children.forEach(upright);
  viewer.app.root.on('childinsert', upright);
  if (!viewer.state.loaded) await new Promise((resolve) => { viewer.events.on('loaded:changed', resolve); });
}

/** Shows the document's state, and errors. */
export function tell(state, text) {
  document.documentElement.dataset.state = state;
  if (!text) return;
  const message = document.getElementById('message');
  message.textContent = text;
  message.hidden = false;
}
