// Records 100 frames in two takes, each after a countdown: two short takes give a better model than one long one,
// since neighbouring frames are near-copies of each other.

import { announce, fill, h } from '../dom.js';
import { L, t, tx } from '../i18n.js';
import { FRAMES } from './recording.js';

const TAKES = 2;
const COUNTDOWN_S = 3;

/** `{ element, offer(frame), record() }`: `offer` is called with each frame seen; `record()` resolves to 100 frames, or null if `cancel` was pressed. */
export function recorder() {
  const big = h('p', { class: 'countdown', 'aria-hidden': 'true' });
  const bar = h('progress', { max: FRAMES, value: 0, 'aria-label': L('gesture.record.progress') });
  const line = h('p', { class: 'muted small', role: 'status' });
  const cancel = h('button', { type: 'button', class: 'quiet small' }, tx('gesture.record.cancel'));
  const element = h('div', { class: 'recorder', hidden: true }, big, bar, h('div', { class: 'row between' }, line, cancel));
  let take = null;

  const countdown = async (text, stopped) => {
    for (let left = COUNTDOWN_S; left > 0 && !stopped(); left -= 1) {
      fill(big, String(left));
      fill(line, tx(text));
      announce(`${t(text)} ${left}`);
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
    fill(big);
  };

  const record = async () => {
    const frames = [];
    let stopped = false;
    cancel.onclick = () => {
      stopped = true;
      take?.();
    };
    element.hidden = false;
    bar.value = 0;
    cancel.focus();
    for (let number = 1; number <= TAKES && !stopped; number += 1) {
      await countdown(number === 1 ? 'gesture.record.ready' : 'gesture.record.again', () => stopped);
      if (stopped) break;
      fill(line, tx('gesture.record.hold'));
      const until = (FRAMES * number) / TAKES;
      await new Promise((resolve) => {
        take = (frame) => {
          if (frame) {
            frames.push(frame);
            bar.value = frames.length;
          }
          if (stopped || frames.length >= until) resolve();
        };
      });
      take = null;
    }
    element.hidden = true;
    return stopped ? null : frames;
  };
  return { element, record, offer: (frame) => take?.(frame) };
}
