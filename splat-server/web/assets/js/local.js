// The page of `splat view`: one local scene, which the program serves beside the page, or which is embedded in the page
// if it was exported.

import { language, t } from './i18n.js';
import { hasGraphics, show, tell } from './stage.js';

/** Decodes base64 text in pieces: a single call would need several times its memory. */
function decode(text) {
  const PIECE = 4 * 65536;
  const bytes = new Uint8Array(Math.floor((text.length * 3) / 4) - (text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0));
  for (let from = 0, to = 0; from < text.length; from += PIECE) {
    const piece = atob(text.slice(from, from + PIECE));
    for (let i = 0; i < piece.length; i += 1, to += 1) bytes[to] = piece.charCodeAt(i);
  }
  return bytes;
}

/** Removes an embedded file from the page and returns it; null if there is none. */
function held(id) {
  const element = document.getElementById(id);
  element?.remove();
  return element;
}

async function scene() {
  const [content, places] = [held('scene'), held('cameras')];
  if (content) {
    const contents = Promise.resolve(new Response(decode(content.textContent.trim())));
    return { contents, name: content.dataset.name, cameras: JSON.parse(places.textContent) };
  }
  const get = async (name) => {
    const response = await fetch(name, { cache: 'no-store' });
    if (!response.ok) throw new Error(`${name}: HTTP ${response.status}`);
    return response;
  };
  const contents = get('scene.ply');
  contents.catch(() => {}); // reported below
  const cameras = await (await get('cameras.json')).json();
  await contents;
  return { contents, name: 'scene.ply', cameras };
}

async function start() {
  document.documentElement.lang = language();
  if (!hasGraphics()) return tell('failed', t('viewer.no_graphics_here'));
  const { contents, name, cameras } = await scene();
  await show({ contents, url: new URL(name, document.baseURI).href, name, cameras, lang: language() });
  tell('ready');
}

tell('loading');
start().catch((error) => {
  console.warn('the viewer did not start:', error);
  tell('failed', t('viewer.failed'));
});
