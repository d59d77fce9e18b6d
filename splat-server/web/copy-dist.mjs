// Copies what the server embeds of npm's packages from node_modules to dist: SuperSplat's viewer for finished scenes, and
// MediaPipe's hand tracking for the page of gestures. Run by `make web`, after `npm ci`.

import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const withoutMap = (script) => script.replace(/\n\/\/# sourceMappingURL=\S+\s*$/, '\n'); // browsers would ask for it in vain

async function fresh(name) {
  const folder = `${here}dist/${name}`;
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  return folder;
}

async function viewer() {
  const from = `${here}node_modules/@playcanvas/supersplat-viewer`;
  const to = await fresh('viewer');
  await cp(`${from}/public/index.css`, `${to}/index.css`);
  await cp(`${from}/LICENSE`, `${to}/LICENSE.txt`);
  // Event handlers in markup are forbidden by the content security policy; assets/js/viewer.js attaches the same ones.
  const script = withoutMap(await readFile(`${from}/public/index.js`, 'utf8'))
    .replace(/ on(pointerdown|wheel)=\\"event\.stopPropagation\(\)\\"/g, ' data-stop-$1');
  const handler = script.match(/ on[a-z]+=\\"[^"]*"/);
  if (handler) throw new Error(`the viewer's markup has a handler that the content security policy forbids: ${handler[0]}`);
  await writeFile(`${to}/index.js`, script);
}

async function handTracking() {
  const from = `${here}node_modules/@mediapipe/tasks-vision`;
  const to = await fresh('mediapipe');
  await writeFile(`${to}/vision_bundle.mjs`, withoutMap(await readFile(`${from}/vision_bundle.mjs`, 'utf8')));
  for (const name of ['vision_wasm_internal.js', 'vision_wasm_internal.wasm']) await cp(`${from}/wasm/${name}`, `${to}/${name}`);
  await cp(`${here}../LICENSE-APACHE`, `${to}/LICENSE.txt`, { dereference: true }); // its package names the licence, but lacks the text
}

await viewer();
await handTracking();
