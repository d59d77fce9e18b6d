// Generated test files: pictures, a scene, cameras. None of them are stored in the repository.

import { deflateSync } from 'node:zlib';

const CRC = Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k += 1) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c >>> 0;
});

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  let crc = 0xffffffff;
  for (const byte of body) crc = CRC[(crc ^ byte) & 255] ^ (crc >>> 8);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length, 0);
  body.copy(out, 4);
  out.writeUInt32BE((crc ^ 0xffffffff) >>> 0, body.length + 4);
  return out;
}

/** A PNG of `width` x `height` pixels; `color(x, y)` gives `[r, g, b]` of 0 to 255. */
export function png(width, height, color) {
  const rows = Buffer.alloc(height * (1 + width * 3));
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      color(x, y).forEach((value, c) => {
        rows[y * (1 + width * 3) + 1 + x * 3 + c] = Math.max(0, Math.min(255, Math.round(value)));
      });
    }
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), chunk('IHDR', header), chunk('IDAT', deflateSync(rows)), chunk('IEND', Buffer.alloc(0))]);
}

/** A picture of sky, ground, and a ball seen from `angle`. */
export function photo(angle, width = 320, height = 240) {
  return png(width, height, (x, y) => {
    const u = x / width - 0.5 - 0.12 * Math.sin(angle);
    const v = y / height - 0.5;
    const r = Math.hypot(u * 1.33, v - 0.05);
    const grain = 18 * Math.sin(x * 1.7 + angle * 9) * Math.cos(y * 2.3);
    if (r < 0.27) {
      const light = 1 - r * 2.2 + 0.5 * u - 0.6 * v;
      const stripe = Math.sin(12 * (Math.atan2(v, u) + angle)) > 0 ? 1 : 0.72;
      return [235 * light * stripe, 130 * light * stripe + 20, 70 * light + 20].map((value) => value + grain / 3);
    }
    return v < 0.12 ? [120 + 90 * v, 165 + 100 * v, 220 + 60 * v] : [95 - 60 * v + grain, 120 - 80 * v + grain, 80 - 60 * v + grain];
  });
}

/** Reproducible random numbers. */
function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

const PROPERTIES = ['x', 'y', 'z', 'f_dc_0', 'f_dc_1', 'f_dc_2', 'opacity', 'scale_0', 'scale_1', 'scale_2', 'rot_0', 'rot_1', 'rot_2', 'rot_3'];

/** A binary 3DGS PLY: a striped ball on a disc, in COLMAP's axes (y down). */
export function scenePly(count = 4000) {
  const header = `ply\nformat binary_little_endian 1.0\nelement vertex ${count}\n${PROPERTIES.map((name) => `property float ${name}\n`).join('')}end_header\n`;
  const body = Buffer.alloc(count * PROPERTIES.length * 4);
  const random = randomFrom(7);
  for (let i = 0; i < count; i += 1) {
    const onBall = i < count * 0.6;
    const phi = random() * 2 * Math.PI;
    const z = random() * 2 - 1;
    const r = Math.sqrt(1 - z * z);
    const reach = 2.4 * Math.sqrt(random());
    const place = onBall ? [r * Math.cos(phi), z, r * Math.sin(phi)] : [reach * Math.cos(phi), 1.02, reach * Math.sin(phi)];
    const stripe = Math.floor((phi / Math.PI) * 6) % 2;
    const color = onBall ? (stripe ? [0.95, 0.45, 0.2] : [0.98, 0.86, 0.6]) : [0.25, 0.4 + 0.1 * random(), 0.32];
    const dc = color.map((value) => (value - 0.5) / 0.28209479177387814);
    const size = Math.log(onBall ? 0.055 : 0.075);
    [...place, ...dc, 3, size, size, size, 1, 0, 0, 0].forEach((value, k) => body.writeFloatLE(value, (i * PROPERTIES.length + k) * 4));
  }
  return Buffer.concat([Buffer.from(header, 'latin1'), body]);
}

/** `count` cameras on a circle around the ball, slightly above it, looking at it, in the format of `cameras.json`. */
export function cameras(count = 12) {
  return Array.from({ length: count }, (_, id) => {
    const angle = (2 * Math.PI * id) / count;
    const position = [4.2 * Math.cos(angle), -1.6, 4.2 * Math.sin(angle)];
    const size = Math.hypot(...position);
    const forward = position.map((value) => -value / size);
    const down = [0, 1, 0];
    const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
    const unit = (a) => a.map((value) => value / Math.hypot(...a));
    const right = unit(cross(down, forward));
    const y = cross(forward, right);
    const rotation = [0, 1, 2].map((row) => [right[row], y[row], forward[row]]);
    return { id, img_name: `${id}.png`, width: 320, height: 240, position, rotation, fx: 300, fy: 300, held_out: false };
  });
}

/** Frames of a hand that points up or down, trembling slightly, in the format of a recording. */
export function handFrames(count, pointing = 'up') {
  const random = randomFrom(3);
  const sign = pointing === 'up' ? -1 : 1; // y points down
  const fingers = [[-0.03, 0.6], [-0.02, 1], [0, 1.1], [0.018, 1], [0.035, 0.85]];
  return Array.from({ length: count }, (_, f) => {
    const frame = [0, 0, 0];
    for (const [x, reach] of fingers) {
      for (let joint = 1; joint <= 4; joint += 1) {
        const sway = 0.004 * Math.sin(f / 9) * joint;
        frame.push(x * (0.6 + joint / 6) + sway + 0.001 * random(), sign * 0.04 * reach * joint + 0.001 * random(), -0.008 * joint + 0.001 * random());
      }
    }
    return [...frame, 1].map((value) => Number(value.toFixed(6)));
  });
}

export { gestureFrames } from '../../splat-server/web/assets/js/gestures/made_up.js';
