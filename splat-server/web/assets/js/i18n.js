// Language: every visible text comes from lang/<code>.js and changes in place with the language.
//
// Text nodes made by `tx` and attributes made by `L` remember their key, so that switching needs no redrawing.

import en from './lang/en.js';
import ko from './lang/ko.js';

export const LANGUAGES = { en, ko };
const STORED = 'splat.language';
const listeners = new Set();
let current = firstLanguage();

function firstLanguage() {
  const wanted = [readStored(), ...(navigator.languages ?? [navigator.language])];
  for (const tag of wanted) {
    const code = tag?.toLowerCase().split('-')[0];
    if (code && Object.hasOwn(LANGUAGES, code)) return code;
  }
  return 'en';
}

function readStored() {
  try {
    return localStorage.getItem(STORED);
  } catch {
    return null; // storage may be switched off
  }
}

/** The current language: `en` or `ko`. */
export function language() {
  return current;
}

/** Calls `listener` after each change of language. */
export function onLanguage(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The text of `key` with `{name}` filled in; parameters may be functions, called again for each language. */
export function t(key, params = {}) {
  const entry = LANGUAGES[current][key];
  if (entry === undefined) return key;
  const values = {};
  for (const [name, value] of Object.entries(params)) values[name] = typeof value === 'function' ? value() : value;
  const text = typeof entry === 'string' ? entry : entry[new Intl.PluralRules(current).select(Number(values.count))] ?? entry.other;
  return text.replace(/\{(\w+)\}/g, (whole, name) => {
    const value = values[name];
    if (value === undefined) return whole;
    return typeof value === 'number' ? value.toLocaleString(current) : String(value);
  });
}

/**
 * A message of the service in the current language. The service writes English; its messages have codes that are translated
 * into the other languages. Reasons are more precise than codes and are translated into all languages.
 */
export function serverText(code, text, reasons = []) {
  if (reasons.length > 0 && reasons.every((reason) => has(`reason.${reason.code}`))) {
    return reasons.map((reason) => t(`reason.${reason.code}`, reason.params)).join(' ');
  }
  const key = `code.${code}`;
  return current !== 'en' && has(key) ? t(key, { detail: text }) : text;
}

/** Whether there is a text for `key`. */
export function has(key) {
  return Object.hasOwn(LANGUAGES[current], key);
}

/** A text node that changes with the language. */
export function tx(key, params) {
  const node = document.createTextNode(t(key, params));
  node.translated = { key, params };
  return node;
}

/** A text node with the result of `text()`, which is called again for each language: for numbers and dates. */
export function live(text) {
  const node = document.createTextNode(text());
  node.translated = { text };
  return node;
}

/** An attribute's value that changes with the language; for `h` and `setAttribute` of dom.js. */
export function L(key, params) {
  return { translated: true, key, params };
}

/** Translates elements of the HTML file: `data-t` for content, `data-t-label` for aria-label. */
function translateStatic(root) {
  for (const element of root.querySelectorAll('[data-t]')) element.textContent = t(element.dataset.t);
  for (const element of root.querySelectorAll('[data-t-label]')) element.setAttribute('aria-label', t(element.dataset.tLabel));
}

function translateLive(root) {
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT);
  for (let node = walker.currentNode; node; node = walker.nextNode()) {
    if (node.translated) node.data = node.translated.text ? node.translated.text() : t(node.translated.key, node.translated.params);
    if (node.translatedAttributes) {
      for (const [name, { key, params }] of Object.entries(node.translatedAttributes)) node.setAttribute(name, t(key, params));
    }
  }
}

/** Translates the whole document into the current language. */
export function translateDocument() {
  document.documentElement.lang = current;
  translateStatic(document);
  translateLive(document.documentElement);
}

/** Switches to a language: stores the choice, translates the document and calls the listeners. */
export function setLanguage(code) {
  if (!Object.hasOwn(LANGUAGES, code)) return;
  current = code;
  try {
    localStorage.setItem(STORED, code);
  } catch {
    // switched, but not stored
  }
  translateDocument();
  for (const listener of listeners) listener();
}
