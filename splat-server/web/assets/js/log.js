// The log of a job: new lines are fetched while the fold is open.

import { send } from './api.js';
import { h } from './dom.js';
import { L, tx } from './i18n.js';

const EVERY_S = 2.5;
/** Characters kept on the page; the whole log is among the downloads. */
const MOST = 200_000;

/** A fold with the log; `over()` says whether the job has ended. */
export function logFold(job, { over, signal }) {
  const text = h('pre', { class: 'log', tabindex: 0, role: 'log', 'aria-live': 'off', 'aria-label': L('log.title') });
  const fold = h('details', { class: 'card fold' }, h('summary', {}, tx('log.title')), text);
  let from = 0;
  let timer;
  let reading = false;

  const read = async () => {
    if (!fold.open || reading || signal.aborted) return;
    reading = true;
    const last = over(); // one more read after the end
    try {
      const response = await send(`${job.links?.log ?? `/v1/jobs/${job.id}/log`}?from=${from}`, { signal, cache: 'no-store' });
      const next = Number(response.headers.get('X-Next-From'));
      const more = await response.text();
      if (Number.isSafeInteger(next)) from = next;
      if (more) {
        const atEnd = text.scrollHeight - text.scrollTop - text.clientHeight < 40;
        text.append(more);
        if (text.textContent.length > MOST) text.textContent = text.textContent.slice(-MOST);
        if (atEnd) text.scrollTop = text.scrollHeight;
      }
    } catch {
      // the connection's banner shows it; retried
    }
    reading = false;
    clearTimeout(timer);
    if (!last && fold.open && !signal.aborted) timer = setTimeout(read, EVERY_S * 1000);
  };
  fold.addEventListener('toggle', read);
  signal.addEventListener('abort', () => clearTimeout(timer));
  return { element: fold, read };
}
