// Files that an earlier visit, or another window, sent and no scene was made of. They count against a limit until they expire, so they are
// offered again, or taken back.

import { getJson } from './api.js';
import { fill, h } from './dom.js';
import { bytes } from './format.js';
import { live, t, tx } from './i18n.js';
import { withdraw } from './tus.js';

/** The notice; hidden while there is nothing. Files that arrived whole go to `tray` on wish. */
export function leftovers(tray) {
  const element = h('div', { class: 'notice leftovers', hidden: true });
  const gone = () => {
    element.hidden = true;
    document.getElementById('choose')?.focus();
  };
  const show = (uploads) => {
    const whole = uploads.filter((upload) => upload.offset === upload.bytes);
    const size = uploads.reduce((sum, upload) => sum + upload.offset, 0);
    const use = () => {
      tray.adopt(whole);
      for (const upload of uploads) if (!whole.includes(upload)) withdraw(`/v1/uploads/${upload.id}`);
      gone();
    };
    const remove = () => {
      for (const upload of uploads) withdraw(`/v1/uploads/${upload.id}`);
      gone();
    };
    fill(element, h('p', {}, live(() => t('leftovers.text', { count: uploads.length, size: bytes(size) }))),
      h('div', { class: 'row' },
        whole.length > 0 ? h('button', { type: 'button', class: 'quiet', onclick: use }, tx('leftovers.use', { count: whole.length })) : null,
        h('button', { type: 'button', class: 'quiet', onclick: remove }, tx('leftovers.remove', { count: uploads.length }))));
    element.hidden = false;
  };
  getJson('/v1/uploads', { tries: 2 }).then(({ uploads = [] }) => {
    if (uploads.length > 0 && tray.count === 0) show(uploads);
  }).catch(() => {
    // without it the page works all the same
  });
  tray.addEventListener('change', () => {
    if (tray.count > 0) element.hidden = true;
  });
  return element;
}
