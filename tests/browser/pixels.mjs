// Properties of screenshots that tests check.

import { inflateSync } from 'node:zlib';

/** Pixels of an 8-bit PNG that is not interlaced, as Chromium writes screenshots. */
function pixels(data) {
  const width = data.readUInt32BE(16);
  const channels = data[25] === 6 ? 4 : 3;
  const parts = [];
  for (let at = 8; at < data.length; at += 12 + data.readUInt32BE(at)) {
    if (data.toString('latin1', at + 4, at + 8) === 'IDAT') parts.push(data.subarray(at + 8, at + 8 + data.readUInt32BE(at)));
  }
  const raw = inflateSync(Buffer.concat(parts));
  const stride = width * channels;
  const rows = [];
  let above = Buffer.alloc(stride);
  for (let at = 0; at < raw.length; at += stride + 1) {
    const row = Buffer.from(raw.subarray(at + 1, at + 1 + stride));
    for (let i = 0; i < stride; i += 1) {
      const [a, b, c] = [i >= channels ? row[i - channels] : 0, above[i], i >= channels ? above[i - channels] : 0];
      const p = a + b - c;
      const paeth = Math.abs(p - a) <= Math.abs(p - b) && Math.abs(p - a) <= Math.abs(p - c) ? a : Math.abs(p - b) <= Math.abs(p - c) ? b : c;
      row[i] = (row[i] + [0, a, b, (a + b) >> 1, paeth][raw[at]]) & 255;
    }
    rows.push(row);
    above = row;
  }
  return { rows, channels };
}

/** Number of clearly different colours in a picture. */
export function colours(data) {
  const { rows, channels } = pixels(data);
  const seen = new Set();
  for (const row of rows) for (let i = 0; i < row.length; i += channels) seen.add(((row[i] >> 4) << 8) | ((row[i + 1] >> 4) << 4) | (row[i + 2] >> 4));
  return seen.size;
}

/** Fraction of pixels that differ clearly between two pictures of the same size. */
export const distance = (a, b) => {
  const [{ rows, channels }, other] = [pixels(a), pixels(b)];
  let changed = 0;
  rows.forEach((row, y) => {
    for (let i = 0; i < row.length; i += channels) if (Math.abs(row[i] - other.rows[y][i]) > 24) changed += 1;
  });
  return changed / (rows.length * (rows[0].length / channels));
};

/** Takes pictures until one differs from `first` in a thirtieth of its pixels, and returns it; fails with `otherwise` after a minute. */
export async function changed(first, take, otherwise) {
  for (const until = Date.now() + 60_000; ;) {
    const picture = await take();
    if (distance(first, picture) > 1 / 30) return picture;
    if (Date.now() > until) throw new Error(otherwise);
    await new Promise((resolve) => { setTimeout(resolve, 100); });
  }
}
