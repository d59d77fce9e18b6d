// Tries a finished model live: every frame is classified by the delivered ONNX model, and a bar for each gesture shows
// its score. If the best score is below 0.5, the answer is none.

import { send } from '../api.js';
import { announce, fill, h } from '../dom.js';
import { fixed } from '../format.js';
import { L, live, t, tx } from '../i18n.js';
import { OnnxModel } from './onnx.js';

/** Lowest score that counts as a gesture, as in the apps that use the model. */
const LEAST_SCORE = 0.5;
/** Frames over which scores are averaged, so that the answer does not flicker. */
const SMOOTH = 6;

/** The panel; `load(model)` takes a model of the service's list, `offer(frame)` shows it a frame. */
export function trialPanel() {
  const answer = h('p', { class: 'answer', 'aria-live': 'off' });
  const list = h('ul', { class: 'scores' });
  const element = h('div', { class: 'trial' }, answer, list);
  let model = null;
  let labels = [];
  let bars = [];
  let recent = [];
  let said = '';
  fill(answer, tx('gesture.try.none_loaded'));

  const load = async ({ id, labels: names }) => {
    const onnx = await send(`/v1/gestures/${id}/files/model.onnx`);
    const loaded = new OnnxModel(new Uint8Array(await onnx.arrayBuffer()));
    labels = names;
    bars = labels.map((name) => h('meter', { min: 0, max: 1, value: 0, 'aria-label': L('gesture.try.score', { name }) }));
    fill(list, labels.map((name, i) => h('li', {}, h('span', {}, name), bars[i])));
    fill(answer, tx('gesture.try.show'));
    recent = [];
    model = loaded;
  };

  const offer = (frame) => {
    if (!model) return;
    if (!frame) {
      recent = [];
      return;
    }
    recent = [...recent.slice(1 - SMOOTH), model.run(frame)];
    const scores = labels.map((_, i) => recent.reduce((sum, row) => sum + (row[i] ?? 0), 0) / recent.length);
    scores.forEach((score, i) => { bars[i].value = score; });
    const best = scores.indexOf(Math.max(...scores));
    const known = scores[best] >= LEAST_SCORE;
    const word = known ? labels[best] : t('gesture.try.unknown');
    fill(answer, live(() => (known ? `${labels[best]} · ${fixed(scores[best] * 100, 0)} %` : t('gesture.try.unknown'))));
    if (word !== said && recent.length === SMOOTH) {
      said = word;
      announce(word);
    }
  };
  return { element, load, offer };
}
