// Debian's Chromium, driven through playwright-core. WebGL 2 runs in software; everything else avoids that slow device.

import { existsSync } from 'node:fs';

import { chromium } from 'playwright-core';

const PLACES = [process.env.SPLAT_CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

const FLAGS = [
  '--no-sandbox', '--disable-dev-shm-usage', '--use-angle=swiftshader', '--enable-unsafe-swiftshader',
  '--use-fake-device-for-media-stream=fps=60', '--disable-gpu-compositing', '--disable-gpu-rasterization', '--disable-accelerated-2d-canvas',
];

/** Starts the browser; the error says what to install if there is none. */
export function launch() {
  const executablePath = PLACES.find((place) => place && existsSync(place));
  if (!executablePath) throw new Error('no Chromium found: run `scripts/setup.sh --test`, or name one in SPLAT_CHROMIUM');
  return chromium.launch({ executablePath, args: FLAGS });
}
