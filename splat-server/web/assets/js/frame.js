// The frame of every page: language, colours, the key.

import { fill } from './dom.js';
import { language, onLanguage, setLanguage, translateDocument, tx } from './i18n.js';
import { apiKey, askForKey, forgetKey } from './key.js';

let title = () => 'splat';

/** Sets the title of the browser's tab: `text()` is called again for each language. */
export function setTitle(text) {
  title = text;
  document.title = title();
}

/** Initialises the header and translates the document into the visitor's language. */
export function setUpFrame() {
  translateDocument();
  for (const button of document.querySelectorAll('[data-language]')) {
    button.addEventListener('click', () => setLanguage(button.dataset.language));
  }
  const mark = () => {
    for (const button of document.querySelectorAll('[data-language]')) {
      button.setAttribute('aria-pressed', String(button.dataset.language === language()));
    }
  };
  onLanguage(mark);
  onLanguage(() => setTitle(title));
  mark();

  // The address after # names the view, so the skip link must not change it.
  document.querySelector('.skip').addEventListener('click', (event) => {
    event.preventDefault();
    document.getElementById('main').focus();
  });

  const key = document.getElementById('forget-key');
  const show = () => {
    key.hidden = !apiKey();
    fill(key, tx('key.forget'));
  };
  key.addEventListener('click', async () => {
    forgetKey();
    await askForKey();
  });
  document.addEventListener('splat:key', show);
  show();
}
