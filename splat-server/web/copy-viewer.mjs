// Copies the parts of SuperSplat's viewer that the server embeds from node_modules to dist/viewer.
// Run by `make web`, after `npm ci`.

import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const from = `${here}node_modules/@playcanvas/supersplat-viewer`;
const to = `${here}dist/viewer`;

await rm(to, { recursive: true, force: true });
await mkdir(to, { recursive: true });
await cp(`${from}/public/index.css`, `${to}/index.css`);
await cp(`${from}/LICENSE`, `${to}/LICENSE.txt`);
const script = await readFile(`${from}/public/index.js`, 'utf8');
const changed = script
  // The source map is not embedded: a reference to it would only make browsers ask in vain.
  .replace(/\n\/\/# sourceMappingURL=\S+\s*$/, '\n')
  // Event handlers in markup are forbidden by the content security policy; assets/js/viewer.js attaches the same ones.
  .replace(/ on(pointerdown|wheel)=\\"event\.stopPropagation\(\)\\"/g, ' data-stop-$1');
const handler = changed.match(/ on[a-z]+=\\"[^"]*"/);
if (handler) throw new Error(`the viewer's markup has a handler that the content security policy forbids: ${handler[0]}`);
await writeFile(`${to}/index.js`, changed);
