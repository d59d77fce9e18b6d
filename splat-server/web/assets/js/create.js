// Creating a scene: choose photos, choose options, submit. Photos may still be uploading when the form is submitted: the
// scene is created when the last one has arrived.

import { NoAnswer, postJson, randomKey, Refused } from './api.js';
import { backoff, pause } from './connection.js';
import { fill, h, icon } from './dom.js';
import { live, t, tx } from './i18n.js';
import { leftovers } from './leftovers.js';
import { optionFields } from './options.js';
import { errorText } from './states.js';
import { Tray } from './tray.js';

const ACCEPT = 'image/jpeg,image/png,image/webp,image/heic,image/avif,.jpg,.jpeg,.png,.webp,.heic,.heif,.hif,.avif,.zip,application/zip';

/** The card; `onCreated(job)` is called with the new job. */
export function createCard(info, { onCreated }) {
  const fewest = info.limits?.min_photos ?? 3;
  const tray = new Tray(info);
  const fields = optionFields(info);
  const input = h('input', {
    type: 'file', multiple: true, accept: info.video ? `${ACCEPT},video/*` : ACCEPT, class: 'sr-only', tabindex: -1, 'aria-hidden': 'true',
    onchange: () => {
      tray.add([...input.files]);
      input.value = '';
    },
  });
  const choose = h('button', { type: 'button', id: 'choose', class: 'primary', 'aria-describedby': 'drop-hint', onclick: () => input.click() }, tx('create.choose'));
  const drop = h('div', { class: 'drop' },
    icon('photos'),
    h('p', { class: 'drop-title' }, tx(matchMedia('(pointer: coarse)').matches ? 'create.drop_touch' : 'create.drop')),
    choose,
    h('p', { id: 'drop-hint', class: 'muted small' }, live(() => t(info.video ? 'create.limits' : 'create.limits_no_video', { count: info.limits?.max_photos ?? 50 }))),
    input);
  acceptDrops(drop, (files) => tray.add(files));

  const submit = h('button', { type: 'submit', class: 'primary wide' }, tx('create.submit'));
  const discard = h('button', { type: 'button', class: 'quiet', hidden: true, onclick: () => { wanted = false; tray.discard(); choose.focus(); } }, tx('create.discard'));
  const status = h('p', { class: 'small muted', role: 'status' });
  const complaint = h('p', { class: 'notice problem', role: 'alert', hidden: true });
  let wanted = false;
  let sending = false;
  let key = randomKey();

  const complain = (node) => {
    complaint.hidden = !node;
    if (node) fill(complaint, node);
  };
  const show = () => {
    const few = !tray.bundled && tray.count > 0 && tray.count < fewest;
    submit.disabled = tray.count === 0 || few || wanted;
    discard.hidden = tray.count === 0;
    drop.classList.toggle('compact', tray.count > 0);
    fill(status, few ? live(() => t('create.few', { count: fewest })) : wanted && !tray.ready ? tx('create.waiting') : wanted ? tx('create.creating') : null);
  };
  const go = async () => {
    if (!wanted || sending || !tray.ready) return;
    sending = true;
    try {
      const job = await submitJob(tray.uploads, fields.read(), key);
      key = randomKey();
      tray.clear();
      fields.clearName();
      onCreated(job);
    } catch (error) {
      for (const rejected of error.problem?.rejected ?? []) tray.refuseByName(rejected);
      key = randomKey();
      complain(errorText(error));
    }
    sending = false;
    wanted = false;
    show();
  };
  tray.addEventListener('change', () => {
    if (tray.count === 0) wanted = false;
    show();
    go();
  });

  const form = h('form', {
    class: 'card create', 'aria-labelledby': 'create-title',
    onsubmit: (event) => {
      event.preventDefault();
      complain(null);
      wanted = true;
      show();
      go();
    },
  },
  h('h2', { id: 'create-title' }, tx('create.title')),
  drop, leftovers(tray), tray.element, fields.element, complaint,
  h('div', { class: 'row submit' }, submit, discard), status);
  show();
  warnBeforeLeaving(tray);
  return form;
}

/** Submits with one idempotency key until a response arrives, so that a lost response creates no second scene. */
async function submitJob(uploads, options, key) {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await postJson('/v1/jobs', { kind: 'scene', uploads, options }, { headers: { 'Idempotency-Key': key } });
    } catch (error) {
      const again = error instanceof NoAnswer || (error instanceof Refused && [502, 503, 504].includes(error.status));
      if (!again || (error instanceof Refused && attempt > 5)) throw error;
      await pause(error.retryAfter ?? backoff(attempt));
    }
  }
}

/** Accepts files dropped anywhere on the page; the drop zone is highlighted meanwhile. */
function acceptDrops(zone, take) {
  let depth = 0;
  const carriesFiles = (event) => event.dataTransfer?.types.includes('Files') && zone.isConnected;
  const light = (on) => zone.classList.toggle('over', on);
  document.addEventListener('dragenter', (event) => {
    if (carriesFiles(event)) light((depth += 1) > 0);
  });
  document.addEventListener('dragleave', (event) => {
    if (carriesFiles(event)) light((depth -= 1) > 0);
  });
  document.addEventListener('dragover', (event) => {
    if (carriesFiles(event)) event.preventDefault();
  });
  document.addEventListener('drop', async (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    depth = 0;
    light(false);
    take(await filesOf(event.dataTransfer));
  });
}

/** Files of a drop, those in dropped folders as well. */
async function filesOf(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return [...transfer.files];
  const files = [];
  const walk = async (entry) => {
    if (entry.isFile) {
      files.push(await new Promise((resolve, reject) => entry.file(resolve, reject)));
      return;
    }
    const reader = entry.createReader();
    for (;;) {
      const batch = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (batch.length === 0) return;
      for (const child of batch) await walk(child);
    }
  };
  for (const entry of entries) await walk(entry);
  return files.filter((file) => !file.name.startsWith('.'));
}

function warnBeforeLeaving(tray) {
  window.addEventListener('beforeunload', (event) => {
    if (tray.count > 0 && !tray.ready) event.preventDefault();
  });
}

