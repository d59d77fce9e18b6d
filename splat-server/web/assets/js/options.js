// The options of a scene: presets, and the other options in a fold, generated from the service's list. Options left
// unchanged are not sent, so that the service's defaults apply.

import { h } from './dom.js';
import { L, has, live, t, tx } from './i18n.js';

/** An option's text in the current language if there is one, otherwise the service's. */
const text = (key, words) => live(() => (has(key) ? t(key) : words));

/** Whether a preset is for comparing recipes rather than for creating scenes: it is listed separately. */
export const forComparison = ({ name }) => name === 'reference';

/** A preset's display name. */
export const presetName = (name) => (has(`preset.${name}`) ? t(`preset.${name}`) : name);

/** The options that have a field in the fold. */
export function advanced(options) {
  return options.filter(({ name, part, words }) => part !== 'job' && name !== 'preset' && !(words && words.length < 2)); // nothing to choose
}

function field(option) {
  const { name, help } = option;
  const label = h('label', { for: `option-${name}` }, text(`option.${name}`, name.replaceAll('_', ' ')));
  const hint = h('span', { class: 'muted small', id: `option-${name}-hint` }, text(`option.${name}.hint`, help));
  const input = control(option);
  input.setAttribute('aria-describedby', hint.id);
  return h('div', { class: 'field' }, option.type === 'switch' ? h('div', { class: 'check' }, input, label) : [label, input], hint);
}

function control({ name, type, minimum, maximum, words, default: standard }) {
  const named = { name, id: `option-${name}` };
  if (type === 'switch') return h('input', { ...named, type: 'checkbox' });
  if (type === 'word') {
    // If nothing is chosen, `auto` applies.
    const values = words.filter((word) => word.name !== 'auto');
    return h('select', named, h('option', { value: '' }, tx('option.as_preset')),
      values.map((word) => h('option', { value: word.name, title: word.summary }, text(`option.${name}.${word.name}`, word.name))));
  }
  if (type === 'text') return h('input', { ...named, type: 'text' });
  const step = type === 'whole' ? 1 : 'any';
  return h('input', { ...named, type: 'number', inputmode: type === 'whole' ? 'numeric' : 'decimal', step, min: minimum, max: maximum, placeholder: /^[\d.]+$/.test(standard) ? standard : L('option.as_preset') });
}

function presetCard(preset, chosen) {
  const { name } = preset;
  const summary = () => (has(`preset.${name}.summary`) ? t(`preset.${name}.summary`) : preset.summary);
  const facts = () => t(preset.max_image_size ? 'preset.facts' : 'preset.facts_full', { steps: preset.steps, size: preset.max_image_size });
  return h('label', { class: 'preset' },
    h('input', { type: 'radio', name: 'preset', value: name, checked: name === chosen }),
    h('span', { class: 'preset-body' },
      h('strong', {}, live(() => presetName(name))),
      h('span', {}, live(summary)),
      h('span', { class: 'muted small' }, live(facts))));
}

/** The form's fields, `read()` for the chosen values, and `clearName()` for the next scene. */
export function optionFields(info) {
  const presets = info.presets ?? [];
  // Without a graphics card `standard` takes hours.
  const wanted = info.gpu === 'software' ? 'preview' : 'standard';
  const chosen = presets.some(({ name }) => name === wanted) ? wanted : presets[0]?.name;
  const cards = (legend, some, look) => h('fieldset', { class: look }, h('legend', {}, tx(legend)), some.map((preset) => presetCard(preset, chosen)));
  const compared = presets.filter(forComparison);
  const name = h('input', { id: 'option-name', name: 'name', type: 'text', maxlength: 80, autocomplete: 'off', placeholder: L('option.name.example') });
  const element = h('div', { class: 'options' },
    cards('create.preset', presets.filter((preset) => !forComparison(preset)), 'presets'),
    h('div', { class: 'field' }, h('label', { for: 'option-name' }, tx('option.name')), name),
    h('details', { class: 'advanced' },
      h('summary', {}, tx('create.advanced')),
      h('div', { class: 'fields' },
        advanced(info.options ?? []).map(field)),
      compared.length > 0 ? cards('create.comparison', compared, 'presets compared') : null));
  return { element, read: () => read(element), clearName: () => { name.value = ''; } };
}

function read(element) {
  const options = {};
  for (const control of element.querySelectorAll('input, select')) {
    if (['radio', 'checkbox'].includes(control.type) && !control.checked) continue;
    if (control.type === 'checkbox') {
      options[control.name] = true;
      continue;
    }
    const value = control.value.trim();
    if (value === '') continue;
    options[control.name] = control.type === 'number' ? Number(value) : value;
  }
  return options;
}
