// The list of models: try one, rename or remove its gestures, delete it.

import { postJson, send } from '../api.js';
import { announce, ask, askText, fill, h } from '../dom.js';
import { moment } from '../format.js';
import { L, live, t, tx } from '../i18n.js';
import { fileControl } from '../results.js';
import { errorText } from '../states.js';
import { nameFault } from './recording.js';

/** A name that a gesture cannot have: `fault` is the key of a text and its parameters. */
class BadName extends Error {
  constructor(fault) {
    super(fault.key);
    this.fault = fault;
  }
}

/** Links that download the model's files for apps. */
export function modelFiles(files = []) {
  return files.filter(({ name }) => /\.(tflite|onnx)$|^manifest\.json$/.test(name)).map((file) => fileControl(file, file.name, 'model-file', file.name));
}

/**
 * The card of `models` (newest first, as in `GET /v1/gestures`). Changing a gesture creates a new model, which `onNew` gets;
 * `onGone` gets the id of a deleted one, `onTry` the model to try.
 */
export function modelsCard(models, { onNew, onGone, onTry }) {
  const rows = h('ul', { class: 'models' });
  const complaint = h('p', { class: 'notice problem', role: 'alert', hidden: true });
  const element = h('section', { class: 'card', 'aria-labelledby': 'models-title' },
    h('h2', { id: 'models-title', tabindex: -1 }, tx('gesture.models.title')), h('p', { class: 'muted small' }, tx('gesture.models.hint')), complaint, rows);

  const act = async (action) => {
    complaint.hidden = true;
    try {
      await action();
    } catch (error) {
      complaint.hidden = false;
      fill(complaint, error instanceof BadName ? tx(error.fault.key, error.fault.params) : errorText(error));
    }
  };
  const changed = async (model, change, body) => {
    const made = await postJson(`/v1/gestures/${model.id}/${change}`, body);
    announce(t('gesture.models.made', { labels: made.labels.join(', ') }));
    onNew(made);
    // The row in use has moved down: focus goes to the row of the new model.
    rows.querySelector('summary')?.focus();
  };
  const rename = (model, gesture) => act(async () => {
    const to = await askText({ title: t('gesture.rename.title', { gesture }), label: t('gesture.name'), value: gesture, most: 20, yes: t('rename.yes'), no: t('rename.no') });
    const name = to?.trim();
    if (to === null || name === gesture) return;
    const fault = nameFault(name);
    if (fault) throw new BadName(fault);
    await changed(model, 'rename', { gesture, to: name });
  });
  const takeOut = (model, gesture) => act(async () => {
    const yes = await ask({ title: t('gesture.takeout.title', { gesture }), text: t('gesture.takeout.text'), yes: t('gesture.takeout.yes'), no: t('delete.no'), danger: true });
    if (yes) await changed(model, 'delete', { gesture });
  });
  const remove = (model) => act(async () => {
    const labels = model.labels.join(', ');
    const yes = await ask({ title: t('gesture.remove.title'), text: t('gesture.remove.text', { labels }), yes: t('delete.yes'), no: t('delete.no'), danger: true });
    if (!yes) return;
    await send(`/v1/gestures/${model.id}`, { method: 'DELETE' });
    announce(t('gesture.remove.done'));
    onGone(model.id);
    element.querySelector('h2').focus();
  });

  const button = (text, label, gesture, onclick) => h('button', { type: 'button', class: 'quiet small', onclick, 'aria-label': L(label, { gesture }) }, tx(text));
  const row = (model) => h('li', {}, h('details', {},
    h('summary', {}, model.labels.join(', '), model.created && h('span', { class: 'muted small' }, live(() => ` · ${moment(model.created)}`))),
    h('ul', { class: 'model-gestures' }, model.labels.map((gesture) => h('li', {}, h('span', {}, gesture),
      button('gesture.rename', 'gesture.rename.label', gesture, () => rename(model, gesture)),
      button('gesture.takeout', 'gesture.takeout.label', gesture, () => takeOut(model, gesture))))),
    model.files?.length > 0 ? h('div', { class: 'row', role: 'group', 'aria-label': L('gesture.models.files') }, modelFiles(model.files)) : null,
    h('div', { class: 'row' },
      h('button', { type: 'button', class: 'quiet small', onclick: () => onTry(model) }, tx('gesture.models.try')),
      h('button', { type: 'button', class: 'danger small', onclick: () => remove(model) }, tx('gesture.remove')))));
  const show = () => {
    element.hidden = models.length === 0;
    fill(rows, models.map(row));
  };
  show();
  return { element, show };
}
