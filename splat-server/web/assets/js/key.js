// The API key: asked for once, stored where the user chooses, sent only in the Authorization header, never in a URL.

import { fill, h } from './dom.js';
import { L, tx } from './i18n.js';

const STORED = 'splat.api_key';
let inMemory = null;
let asking = null;

function stores() {
  try {
    return [sessionStorage, localStorage];
  } catch {
    return []; // storage may be disabled; then the key is kept until the page closes
  }
}

/** The key, or null. */
export function apiKey() {
  if (inMemory) return inMemory;
  for (const store of stores()) {
    const key = store.getItem(STORED);
    if (key) return key;
  }
  return null;
}

/** Authorization header; empty without a key. */
export function authorization() {
  const key = apiKey();
  return key ? { Authorization: `Bearer ${key}` } : {};
}

/** Forgets the key everywhere. */
export function forgetKey() {
  inMemory = null;
  for (const store of stores()) store.removeItem(STORED);
  document.dispatchEvent(new CustomEvent('splat:key'));
}

function keep(key, remember) {
  inMemory = key;
  const [session, local] = stores();
  try {
    (remember ? local : session)?.setItem(STORED, key);
    (remember ? session : local)?.removeItem(STORED);
  } catch {
    // kept for this page only
  }
  document.dispatchEvent(new CustomEvent('splat:key'));
}

/** Asks for the key in a dialog; `refused` if the last one was not accepted. Resolves when one was entered. */
export function askForKey({ refused = false } = {}) {
  asking ??= openDialog(refused).finally(() => {
    asking = null;
  });
  return asking;
}

function openDialog(refused) {
  const field = h('input', {
    id: 'key-field', type: 'password', autocomplete: 'off', autocapitalize: 'off', spellcheck: 'false', required: true,
    'aria-describedby': 'key-hint',
  });
  const remember = h('input', { id: 'key-remember', type: 'checkbox' });
  const complaint = h('p', { class: 'problem', role: 'alert' });
  if (refused) fill(complaint, tx('key.refused'));
  const dialog = h('dialog', { class: 'dialog', 'aria-labelledby': 'key-title' },
    h('form', { method: 'dialog' },
      h('h2', { id: 'key-title' }, tx('key.title')),
      h('p', { id: 'key-hint', class: 'muted' }, tx('key.hint')),
      complaint,
      h('label', { for: 'key-field' }, tx('key.label')),
      field,
      h('div', { class: 'check' }, remember, h('label', { for: 'key-remember' }, tx('key.remember'))),
      h('div', { class: 'row end' },
        h('button', { class: 'primary', 'aria-label': L('key.use') }, tx('key.use')))));
  document.body.append(dialog);
  dialog.addEventListener('cancel', (event) => event.preventDefault()); // the page needs a key
  dialog.showModal();
  field.focus();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      keep(field.value.trim(), remember.checked);
      dialog.remove();
      resolve();
    });
  });
}
