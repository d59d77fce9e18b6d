// A small line chart in SVG: one series over training steps, with labels, a readable last value, and the value under
// the pointer. At most two dozen points per second, thinned to the width of the picture, so no library is needed.

import { fill, h, svg } from './dom.js';
import { whole } from './format.js';
import { live, t, tx } from './i18n.js';

const WIDTH = 320;
const HEIGHT = 132;
const PAD = { left: 44, right: 10, top: 8, bottom: 22 };
const MOST_POINTS = 240;

export class Chart {
  #points = [];
  #format;
  #key;
  #plot = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: 'chart-plot', role: 'img' });
  #value = h('strong', { class: 'chart-value' });
  #pending = false;
  #pointer = null;

  /** `key` names the series' text; `format(value)` writes a value. */
  constructor(key, format) {
    this.#key = key;
    this.#format = format;
    this.element = h('figure', { class: 'chart' },
      h('figcaption', { class: 'row between' }, h('span', {}, tx(key)), this.#value), this.#plot);
    this.#plot.addEventListener('pointermove', (event) => this.#point(event));
    this.#plot.addEventListener('pointerleave', () => {
      this.#pointer = null;
      this.#draw();
    });
    this.#draw();
  }

  /** The latest value; undefined before the first. */
  get latest() {
    return this.#points.at(-1)?.value;
  }

  get empty() {
    return this.#points.length === 0;
  }

  /** Adds a point; a step that is repeated (by a resumed run) replaces all points from there on. */
  add(step, value) {
    if (!Number.isFinite(step) || !Number.isFinite(value)) return;
    while (this.#points.length > 0 && this.#points.at(-1).step >= step) this.#points.pop();
    this.#points.push({ step, value });
    if (this.#pending) return;
    this.#pending = true;
    requestAnimationFrame(() => {
      this.#pending = false;
      this.#draw();
    });
  }

  clear() {
    this.#points = [];
    this.#draw();
  }

  #scales() {
    const values = this.#points.map((point) => point.value);
    let low = Math.min(...thin(values));
    let high = Math.max(...thin(values));
    if (high - low < 1e-9) {
      low -= Math.abs(low) * 0.1 || 0.5;
      high += Math.abs(high) * 0.1 || 0.5;
    }
    const last = Math.max(1, this.#points.at(-1).step);
    const x = (step) => PAD.left + (step / last) * (WIDTH - PAD.left - PAD.right);
    const y = (value) => HEIGHT - PAD.bottom - ((value - low) / (high - low)) * (HEIGHT - PAD.top - PAD.bottom);
    return { low, high, last, x, y };
  }

  #point(event) {
    if (this.#points.length === 0) return;
    const box = this.#plot.getBoundingClientRect();
    const { last } = this.#scales();
    const at = ((event.clientX - box.left) / box.width) * WIDTH;
    const step = ((at - PAD.left) / (WIDTH - PAD.left - PAD.right)) * last;
    this.#pointer = this.#points.reduce((best, point) => (Math.abs(point.step - step) < Math.abs(best.step - step) ? point : best));
    this.#draw();
  }

  #draw() {
    const text = (x, y, anchor, content) => svg('text', { x, y, 'text-anchor': anchor, class: 'chart-text' }, content);
    if (this.#points.length === 0) {
      fill(this.#value);
      this.#plot.setAttribute('aria-label', t('chart.empty'));
      fill(this.#plot, text(WIDTH / 2, HEIGHT / 2, 'middle', tx('chart.empty')));
      return;
    }
    const { low, high, last, x, y } = this.#scales();
    const line = thin(this.#points).map(({ step, value }) => `${x(step).toFixed(1)},${y(value).toFixed(1)}`).join(' ');
    const at = this.#pointer ?? this.#points.at(-1);
    fill(this.#value, live(() => (this.#pointer ? t('chart.at', { value: this.#format(at.value), step: at.step }) : this.#format(at.value))));
    this.#plot.setAttribute('aria-label', t('chart.label', { name: t(this.#key), value: this.#format(this.#points.at(-1).value), step: last }));
    fill(this.#plot,
      [0, 0.5, 1].map((part) => {
        const value = low + (high - low) * part;
        return [svg('line', { x1: PAD.left, x2: WIDTH - PAD.right, y1: y(value), y2: y(value), class: 'chart-grid' }),
          text(PAD.left - 6, y(value) + 3.5, 'end', live(() => this.#format(value).replace(/\s*dB$/, '')))];
      }).flat(),
      text(PAD.left, HEIGHT - 6, 'start', '0'),
      text(WIDTH - PAD.right, HEIGHT - 6, 'end', live(() => t('chart.step', { step: whole(last) }))),
      svg('polyline', { points: line, class: 'chart-line' }),
      svg('circle', { cx: x(at.step), cy: y(at.value), r: 3.2, class: 'chart-dot' }));
  }
}

/** At most `MOST_POINTS` of `items`, evenly, the last one always. */
export function thin(items) {
  if (items.length <= MOST_POINTS) return items;
  const stride = (items.length - 1) / (MOST_POINTS - 1);
  return Array.from({ length: MOST_POINTS }, (_, i) => items[Math.round(i * stride)]);
}
