// Creates elements without markup strings: no data from a client or server is ever parsed as HTML.

import { t } from './i18n.js';

/** Sets an attribute; a value created by `L` of i18n.js changes with the language. */
export function setAttribute(element, name, value) {
  if (value?.translated) {
    element.translatedAttributes = { ...element.translatedAttributes, [name]: value };
    element.setAttribute(name, t(value.key, value.params));
    return;
  }
  if (element.translatedAttributes) delete element.translatedAttributes[name];
  if (value === false || value === null || value === undefined) element.removeAttribute(name);
  else element.setAttribute(name, value === true ? '' : String(value));
}

/**
 * An element: `h('button', { class: 'quiet', onclick: stop }, 'Stop')`.
 * `on...` attributes become listeners; children may be nodes, texts, arrays, or nothing.
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'value') element.value = value;
    else setAttribute(element, name, value);
  }
  add(element, children);
  return element;
}

/** The same for SVG. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) setAttribute(element, name, value);
  add(element, children);
  return element;
}

function add(element, children) {
  for (const child of children.flat()) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
}

/** Replaces the content of `element`. */
export function fill(element, ...children) {
  element.replaceChildren();
  add(element, children);
  return element;
}

/** An icon of icons.svg by its name; hidden from screen readers, since there is a label beside it. */
export function icon(name) {
  return svg('svg', { class: 'icon', 'aria-hidden': 'true', focusable: 'false' }, svg('use', { href: `${ICONS}#${name}` }));
}

const ICONS = new URL('../icons.svg', import.meta.url).pathname;

/** Announces a visible change to screen readers. */
export function announce(text) {
  const region = document.getElementById('announcer');
  if (region && region.textContent !== text) region.textContent = text;
}

/** Asks for a text in a dialog; resolves to it, or to null if cancelled. */
export function askText({ title, label, value, most, yes, no }) {
  const input = h('input', { id: 'ask-text', type: 'text', maxlength: most, autocomplete: 'off', value });
  const dialog = h(
    'dialog',
    { class: 'dialog', 'aria-labelledby': 'ask-title' },
    h('form', { method: 'dialog' },
      h('h2', { id: 'ask-title' }, title),
      h('div', { class: 'field' }, h('label', { for: 'ask-text' }, label), input),
      h('div', { class: 'row end' },
        // Enter presses the first button of a form.
        h('button', { value: 'yes', class: 'primary ask-yes' }, yes),
        h('button', { value: 'no', class: 'quiet', formnovalidate: true }, no))),
  );
  document.body.append(dialog);
  dialog.showModal();
  input.select();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(dialog.returnValue === 'yes' ? input.value : null);
    });
  });
}

/** Asks a question with two answers; resolves to true for the first. */
export function ask({ title, text, yes, no, danger }) {
  const dialog = h(
    'dialog',
    { class: 'dialog', 'aria-labelledby': 'ask-title' },
    h('form', { method: 'dialog' },
      h('h2', { id: 'ask-title' }, title),
      h('p', {}, text),
      h('div', { class: 'row end' },
        h('button', { value: 'no', class: 'quiet' }, no),
        h('button', { value: 'yes', class: danger ? 'danger' : 'primary' }, yes))),
  );
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(dialog.returnValue === 'yes');
    });
  });
}
