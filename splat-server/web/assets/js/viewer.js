// The document in the frame: one job's scene, or the scene of a shared link. Only an id is taken from the URL, never a URL; the
// key is sent in a header as everywhere else.

import { at, getJson, send } from './api.js';
import { LANGUAGES, language, t } from './i18n.js';
import { hasGraphics, show, tell } from './stage.js';

const query = new URLSearchParams(location.search);
/** The end of a shared link: `/shared/<secret>`. */
const SECRET = location.pathname.match(/\/shared\/([0-9a-z]{26})$/)?.[1] ?? null;

function report(state, key) {
  tell(state, key && t(key));
  if (window.parent !== window && !SECRET) window.parent.postMessage({ type: 'splat:viewer', state }, location.origin);
}

async function start() {
  const id = query.get('job') ?? '';
  if (!SECRET && !/^[0-9a-z]{26}$/.test(id)) return report('failed', 'viewer.failed');
  const lang = Object.hasOwn(LANGUAGES, query.get('lang')) ? query.get('lang') : language();
  document.documentElement.lang = lang;
  if (!hasGraphics()) return report('failed', 'viewer.no_graphics');
  const about = SECRET ? `/v1/shared/${SECRET}` : `/v1/jobs/${id}`;
  // A quarter of the bytes for visitors of a shared link; the owner sees the scene as it was trained.
  const file = SECRET ? 'scene.compressed.ply' : 'scene.ply';
  const scene = SECRET ? `${about}/${file}` : `${about}/artifacts/${file}`;
  const contents = send(scene);
  contents.catch(() => {}); // reported below
  const job = await getJson(about, { tries: 3 });
  if (SECRET && job.name) document.title = job.name;
  const named = (job.artifacts ?? job.files).find(({ name }) => name === 'cameras.json');
  const cameras = named ? await getJson(named.url, { tries: 3 }).catch(() => null) : null;
  await contents;
  await show({ contents, url: at(scene), name: file, cameras, lang });
  report('ready');
}

report('loading');
start().catch((error) => {
  console.warn('the viewer did not start:', error);
  report('failed', SECRET && error.status === 404 ? 'viewer.revoked' : 'viewer.failed');
});
