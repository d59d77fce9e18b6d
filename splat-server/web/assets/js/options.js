// The options of a scene: three presets for everyone, and the rest folded away. What is left alone is not sent, so that
// the service's defaults hold.

import { h } from './dom.js';
import { L, has, live, t, tx } from './i18n.js';

const NUMBERS = [
  { name: 'iterations', min: 1, max: 1_000_000 },
  { name: 'max_image_size', min: 64, max: 16_384 },
  { name: 'max_gaussians', min: 1_000, max: 50_000_000 },
  { name: 'seed', min: 0, max: 4_294_967_295 },
];

function choice(name, values) {
  if (values.length < 2) return null; // nothing to choose
  const options = values.map((value) => h('option', { value }, has(`option.${name}.${value}`) ? tx(`option.${name}.${value}`) : value));
  return field(name, h('select', { name, id: `option-${name}` }, h('option', { value: '' }, tx('option.as_preset')), options));
}

function number({ name, min, max }) {
  return field(name, h('input', { name, id: `option-${name}`, type: 'number', inputmode: 'numeric', step: 1, min, max, placeholder: L('option.as_preset') }));
}

function field(name, control) {
  control.setAttribute('aria-describedby', `option-${name}-hint`);
  return h('div', { class: 'field' },
    h('label', { for: `option-${name}` }, tx(`option.${name}`)), control,
    h('span', { class: 'muted small', id: `option-${name}-hint` }, tx(`option.${name}.hint`)));
}

function tick(name) {
  return h('div', { class: 'field' },
    h('div', { class: 'check' },
      h('input', { name, id: `option-${name}`, type: 'checkbox', 'aria-describedby': `option-${name}-hint` }),
      h('label', { for: `option-${name}` }, tx(`option.${name}`))),
    h('span', { class: 'muted small', id: `option-${name}-hint` }, tx(`option.${name}.hint`)));
}

function presetCard(preset, chosen) {
  const { name } = preset;
  const summary = () => (has(`preset.${name}.summary`) ? t(`preset.${name}.summary`) : preset.summary);
  const facts = () => t(preset.max_image_size ? 'preset.facts' : 'preset.facts_full', { steps: preset.steps, size: preset.max_image_size });
  return h('label', { class: 'preset' },
    h('input', { type: 'radio', name: 'preset', value: name, checked: name === chosen }),
    h('span', { class: 'preset-body' },
      h('strong', {}, live(() => (has(`preset.${name}`) ? t(`preset.${name}`) : name))),
      h('span', {}, live(summary)),
      h('span', { class: 'muted small' }, live(facts))));
}

/** The form's fields, and `read()` for what was chosen. */
export function optionFields(info) {
  const presets = info.presets ?? [];
  // Without a graphics card `standard` takes hours.
  const wanted = info.gpu === 'software' ? 'preview' : 'standard';
  const chosen = presets.some(({ name }) => name === wanted) ? wanted : presets[0]?.name;
  const element = h('div', { class: 'options' },
    h('fieldset', { class: 'presets' }, h('legend', {}, tx('create.preset')), presets.map((preset) => presetCard(preset, chosen))),
    h('div', { class: 'field' },
      h('label', { for: 'option-name' }, tx('option.name')),
      h('input', { id: 'option-name', name: 'name', type: 'text', maxlength: 80, autocomplete: 'off', placeholder: L('option.name.example') })),
    h('details', { class: 'advanced' },
      h('summary', {}, tx('create.advanced')),
      h('div', { class: 'fields' },
        number(NUMBERS[0]),
        choice('quality', info.qualities ?? []),
        choice('strategy', info.strategies ?? []),
        choice('renderer', info.renderers ?? []),
        tick('keep_distortion'),
        choice('matcher', info.matchers ?? ['exhaustive', 'preselection', 'sequential']),
        NUMBERS.slice(1).map(number))));
  return { element, read: () => read(element) };
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
