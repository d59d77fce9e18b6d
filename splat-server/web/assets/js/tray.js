// The photos of the next scene: chosen or dropped, checked, uploaded immediately, each with its own progress. Independent
// of options and jobs.

import { announce, fill, h, icon } from './dom.js';
import { bytes } from './format.js';
import { L, live, serverText, t, tx } from './i18n.js';
import { examine } from './sniff.js';
import { thumbnail } from './thumbs.js';
import { forgetUploads, upload, withdraw } from './tus.js';

/** Simultaneous uploads: hides the pauses between requests without saturating a phone's uplink. */
const AT_ONCE = 3;

export class Tray extends EventTarget {
  #items = [];
  #limits;
  #video;
  #refusals = h('ul', { class: 'refusals' });
  #refusalBox;
  #grid = h('ul', { class: 'tiles', 'aria-label': L('tray.photos') });
  #sum = h('p', { class: 'muted small', role: 'status' });

  constructor(info) {
    super();
    this.#limits = info.limits;
    this.#video = info.video !== false;
    this.#refusalBox = h('div', { class: 'notice problem', role: 'alert', hidden: true },
      h('div', { class: 'row between' }, h('strong', {}, tx('tray.refused')),
        h('button', { class: 'quiet small', type: 'button', onclick: () => this.#forgetRefusals() }, tx('tray.dismiss'))),
      this.#refusals);
    this.element = h('div', { class: 'tray' }, this.#refusalBox, this.#sum, this.#grid);
    this.#tell();
  }

  /** Photos, or the one archive or video. */
  get count() {
    return this.#items.length;
  }

  get ready() {
    return this.#items.length > 0 && this.#items.every((item) => item.url);
  }

  /** Whether there is an archive or a video, whose photos cannot be counted here. */
  get bundled() {
    return this.#items.some((item) => item.kind === 'zip' || item.kind === 'video');
  }

  /** Ids of the finished uploads, sorted by name, so that photos taken in succession are adjacent. */
  get uploads() {
    return [...this.#items].sort((a, b) => a.file.name.localeCompare(b.file.name, 'en', { numeric: true })).map((item) => item.url.split('/').pop());
  }

  /** Adds files; unusable ones are reported immediately. */
  async add(files) {
    for (const file of files) {
      if (this.#items.some(({ file: f }) => f.name === file.name && f.size === file.size && f.lastModified === file.lastModified)) {
        this.#refuse(file.name, { key: 'reject.twice' });
        continue;
      }
      const { kind, reason } = await examine(file, this.#limits, { video: this.#video });
      const obstacle = reason ?? this.#noRoom(kind);
      if (obstacle) this.#refuse(file.name, obstacle);
      else this.#accept(file, kind);
    }
    this.#pump();
    this.#tell();
  }

  /** Adds files that the service already has, as it lists them. */
  adopt(uploads) {
    for (const { id, name, bytes: size } of uploads) {
      const kind = /\.zip$/i.test(name) ? 'zip' : /\.(mp4|m4v|mov|avi|mkv|webm)$/i.test(name) ? 'video' : 'photo';
      const obstacle = this.#noRoom(kind);
      if (obstacle) {
        this.#refuse(name, obstacle);
        continue;
      }
      const item = this.#accept({ name: name || id, size, lastModified: 0 }, kind);
      Object.assign(item, { url: `/v1/uploads/${id}`, sent: size });
      item.progress.value = size;
      item.element.classList.add('sent');
      fill(item.state, tx('tray.sent'));
    }
    this.#tell();
  }

  /** Marks a file that the server rejected when the job was created. */
  refuseByName({ name, reason, code }) {
    const item = this.#items.find(({ file }) => file.name === name);
    if (item) this.#remove(item);
    this.#refuse(name, { text: reason, code });
    this.#tell();
  }

  /** Empties the tray; the uploads belong to a job now. */
  clear() {
    forgetUploads(this.#items.map((item) => item.file));
    this.#items = [];
    this.#grid.replaceChildren();
    this.#forgetRefusals();
    this.#tell();
  }

  /** Empties the tray and deletes the uploads. */
  discard() {
    for (const item of [...this.#items]) this.#remove(item);
    this.#forgetRefusals();
    this.#tell();
  }

  #noRoom(kind) {
    const bundle = kind === 'zip' || kind === 'video';
    if (this.#items.length > 0 && (bundle || this.bundled)) return { key: 'reject.mixed' };
    const most = this.#limits?.max_photos;
    if (!bundle && most && this.#items.length >= most) return { key: 'reject.too_many', params: { count: most } };
    return null;
  }

  #accept(file, kind) {
    const progress = h('progress', { max: file.size, value: 0, 'aria-label': L('tray.progress', { name: file.name }) });
    const remove = h('button', { type: 'button', class: 'tile-remove', 'aria-label': L('tray.remove', { name: file.name }), title: L('tray.remove', { name: file.name }) }, icon('close'));
    const drawn = file instanceof Blob && kind !== 'zip' && kind !== 'video';
    const picture = !drawn
      ? h('span', { class: 'tile-picture' }, icon({ zip: 'archive', video: 'video' }[kind] ?? 'photos'))
      : h('canvas', { class: 'tile-picture', 'aria-hidden': 'true' });
    const state = h('span', { class: 'sr-only' });
    const element = h('li', { class: 'tile' }, picture, h('span', { class: 'tile-name', title: file.name }, file.name), state, progress, remove);
    const item = { file, kind, element, progress, state, stop: new AbortController(), url: null, busy: false, sent: 0 };
    remove.addEventListener('click', () => {
      const neighbour = element.nextElementSibling ?? element.previousElementSibling;
      this.#remove(item);
      this.#tell();
      (neighbour?.querySelector('.tile-remove') ?? document.getElementById('choose'))?.focus();
    });
    this.#items.push(item);
    this.#grid.append(element);
    if (drawn) thumbnail(picture, file, () => element.classList.add('no-picture'));
    return item;
  }

  #remove(item) {
    item.stop.abort();
    if (item.url) withdraw(item.url);
    forgetUploads([item.file]);
    item.element.remove();
    this.#items = this.#items.filter((other) => other !== item);
    this.#pump();
  }

  #pump() {
    let busy = this.#items.filter((item) => item.busy).length;
    for (const item of this.#items) {
      if (busy >= AT_ONCE) return;
      if (item.busy || item.url) continue;
      busy += 1;
      this.#send(item);
    }
  }

  async #send(item) {
    item.busy = true;
    item.element.classList.add('sending');
    try {
      const onProgress = (sent) => {
        item.sent = sent;
        item.progress.value = sent;
        this.#tellSoon();
      };
      item.url = await upload(item.file, { onProgress, signal: item.stop.signal });
      item.sent = item.file.size;
      item.progress.value = item.file.size;
      item.element.classList.add('sent');
      fill(item.state, tx('tray.sent'));
    } catch (error) {
      if (!item.stop.signal.aborted) {
        item.stop.abort();
        this.#remove(item);
        const named = error.problem?.rejected?.[0];
        this.#refuse(item.file.name, { text: named?.reason ?? error.message, code: named?.code ?? error.problem?.code });
      }
    } finally {
      item.busy = false;
      item.element.classList.remove('sending');
      this.#pump();
      this.#tell();
    }
  }

  #refuse(name, reason) {
    const why = () => {
      if (reason.key) {
        const params = { ...reason.params };
        for (const field of ['size', 'most']) if (params[field]) params[field] = bytes(params[field]);
        return t(reason.key, params);
      }
      return serverText(reason.code, reason.text);
    };
    this.#refusals.append(h('li', {}, h('strong', {}, name), ' ', live(why)));
    this.#refusalBox.hidden = false;
  }

  #forgetRefusals() {
    this.#refusals.replaceChildren();
    this.#refusalBox.hidden = true;
  }

  #soon = false;

  #tellSoon() {
    if (this.#soon) return;
    this.#soon = true;
    setTimeout(() => {
      this.#soon = false;
      this.#tell();
    }, 250);
  }

  #tell() {
    const total = this.#items.reduce((sum, item) => sum + item.file.size, 0);
    const sent = this.#items.reduce((sum, item) => sum + item.sent, 0);
    const done = this.#items.filter((item) => item.url).length;
    const count = this.#items.length;
    this.#sum.setAttribute('aria-live', count === done ? 'polite' : 'off'); // no announcement of each percent
    if (count === 0) fill(this.#sum);
    else if (done === count) fill(this.#sum, live(() => t('tray.all_sent', { count, size: bytes(total) })));
    else fill(this.#sum, live(() => t('tray.sending', { done, count, sent: bytes(sent), size: bytes(total) })));
    if (count > 0 && done === count) announce(t('tray.all_sent', { count, size: bytes(total) }));
    this.dispatchEvent(new Event('change'));
  }
}
