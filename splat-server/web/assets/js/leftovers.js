// Uploads of an earlier visit or another window that no scene uses. They count towards a limit until they expire, so the page
// offers to use or delete them.

import { getJson } from './api.js';
import { fill, h } from './dom.js';
import { bytes } from './format.js';
import { live, t, tx } from './i18n.js';
import { withdraw } from './tus.js';

/** The notice; hidden while there are none. On request, complete uploads are added to `tray`. */
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
    // the page works without it
  });
  tray.addEventListener('change', () => {
    if (tray.count > 0) element.hidden = true;
  });
  return element;
}
