// A link that shares the scene: create, change, copy and revoke it.

import { at, postJson, send } from './api.js';
import { fill, h } from './dom.js';
import { L, t, tx } from './i18n.js';
import { errorText } from './states.js';

/** The card of a finished scene's link. */
export function shareCard(job) {
  let share = job.share ?? null;
  const path = `/v1/jobs/${job.id}/share`;
  const complaint = h('p', { class: 'notice problem', role: 'alert', hidden: true });
  const said = h('p', { class: 'small muted', role: 'status' });
  const body = h('div', { class: 'share' });
  const floaters = h('input', { type: 'checkbox', id: 'share-floaters', onchange: () => share && make() });
  const element = h('section', { class: 'card', 'aria-labelledby': 'share-title' },
    h('h2', { id: 'share-title' }, tx('share.title')), h('p', { class: 'muted' }, tx('share.text')), body,
    h('div', { class: 'check' }, floaters, h('label', { for: 'share-floaters' }, tx('share.floaters'))), said, complaint);

  const act = async (action) => {
    complaint.hidden = true;
    try {
      await action();
    } catch (error) {
      complaint.hidden = false;
      fill(complaint, errorText(error));
    }
  };
  const make = () => act(async () => {
    // Everything shown is kept except the choice just made.
    const region = share?.region ? { region: share.region } : {};
    share = await postJson(path, { ...region, drop_floaters: floaters.checked });
    show();
  });
  const end = () => act(async () => {
    await send(path, { method: 'DELETE' });
    share = null;
    show();
    body.querySelector('button').focus();
  });
  const show = () => {
    fill(said);
    if (!share) {
      fill(body, h('button', { type: 'button', class: 'primary', onclick: make }, tx('share.make')));
      return;
    }
    // The URL by which this browser reaches the service, unless its operator has set a public one.
    const here = new URL(at(share.url), location.href).href;
    const url = /^https?:/.test(share.url) ? share.url : here;
    fill(body,
      text('share-link', 'share.link', url, said),
      text('share-embed', 'share.embed', share.embed.replace(share.url, url), said),
      h('div', { class: 'row' },
        h('a', { href: here, target: '_blank', rel: 'noopener' }, tx('share.open')),
        h('button', { type: 'button', class: 'quiet', onclick: end }, tx('share.end'))));
  };
  floaters.checked = share?.drop_floaters ?? false;
  show();
  return element;
}

/** A text with a button that copies it; where the page may not, users copy it by hand. */
function text(id, key, value, said) {
  const input = h('input', { id, type: 'text', readonly: true, value, onfocus: () => input.select() });
  const copy = async () => {
    input.select();
    try {
      await navigator.clipboard.writeText(value);
      fill(said, tx('share.copied'));
    } catch {
      fill(said, tx('share.copy_by_hand'));
    }
  };
  return h('div', { class: 'field' }, h('label', { for: id }, tx(key)),
    h('div', { class: 'row nowrap' }, input, h('button', { type: 'button', class: 'quiet', 'aria-label': L('share.copy_what', { what: () => t(key) }), onclick: copy }, tx('share.copy'))));
}
