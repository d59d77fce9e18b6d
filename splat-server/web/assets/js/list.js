// The list of scenes with their states, refreshed while the page is visible.

import { getJson, inOrder } from './api.js';
import { fill, h, icon } from './dom.js';
import { duration, moment } from './format.js';
import { L, live, t, tx } from './i18n.js';
import { presetName } from './options.js';
import { showPicture } from './results.js';
import { chip, errorText, isOver, stageText, titleOf } from './states.js';

const EVERY_S = { busy: 2.5, idle: 10 };
const PAGE = 20;

/** The card, and `stop()` to end refreshing. */
export function listCard(kind = 'scene') {
  const rows = h('ul', { class: 'jobs' });
  const more = h('button', { type: 'button', class: 'quiet', hidden: true }, tx('list.more'));
  const element = h('section', { class: 'card', 'aria-labelledby': 'list-title' },
    h('h2', { id: 'list-title' }, tx('list.title')), rows, more);
  const shown = new Map();
  const stop = new AbortController();
  let limit = PAGE;
  let timer;
  fill(rows, h('li', { class: 'muted empty' }, tx('list.loading')));

  more.addEventListener('click', async () => {
    const before = shown.size;
    limit += PAGE;
    clearTimeout(timer);
    await refresh();
    rows.children[before]?.querySelector('a')?.focus();
  });

  let busy = false;
  const answered = inOrder(({ jobs, next }) => {
    show(jobs);
    more.hidden = !next;
    busy = jobs.some((job) => !isOver(job));
  });
  const refresh = async () => {
    try {
      if (document.hidden) busy = false;
      else await answered(getJson(`/v1/jobs?kind=${kind}&limit=${limit}`, { signal: stop.signal }));
    } catch (error) {
      if (stop.signal.aborted) return;
      busy = false;
      fill(rows, h('li', { class: 'problem' }, errorText(error)));
      shown.clear();
    }
    // When a key, a click or a return to the page starts a refresh while another one runs, only one timer may remain.
    clearTimeout(timer);
    timer = setTimeout(refresh, 1000 * (busy ? EVERY_S.busy : EVERY_S.idle));
  };

  // Rows are kept by id, so that focus and screen readers are not disturbed by each refresh.
  const show = (jobs) => {
    if (jobs.length === 0) {
      shown.clear();
      fill(rows, h('li', { class: 'muted empty' }, tx('list.empty')));
      return;
    }
    const ids = new Set(jobs.map((job) => job.id));
    for (const [id, row] of shown) {
      if (ids.has(id)) continue;
      row.element.remove();
      shown.delete(id);
    }
    if (shown.size === 0) rows.replaceChildren();
    jobs.forEach((job, position) => {
      const row = shown.get(job.id) ?? jobRow(stop.signal);
      shown.set(job.id, row);
      row.update(job);
      if (rows.children[position] !== row.element) rows.insertBefore(row.element, rows.children[position] ?? null);
    });
  };

  const onKey = () => refresh();
  document.addEventListener('visibilitychange', () => {
    clearTimeout(timer);
    refresh();
  }, { signal: stop.signal });
  document.addEventListener('splat:key', onKey, { signal: stop.signal });
  refresh();
  return {
    element,
    stop: () => {
      clearTimeout(timer);
      stop.abort();
    },
  };
}

function jobRow(signal) {
  const link = h('a', { class: 'job-name' });
  const state = h('span', { class: 'chip' });
  const line = h('span', { class: 'muted small' });
  const bar = h('progress', { max: 100, class: 'thin', 'aria-label': L('job.progress') });
  // The name is beside it, so it needs no alternative text.
  const picture = h('img', { alt: '', width: 64, height: 48, hidden: true, decoding: 'async' });
  const element = h('li', { class: 'job' }, h('span', { class: 'job-picture' }, icon('photos'), picture), h('div', { class: 'job-text' }, h('div', { class: 'row between' }, link, state), line, bar));
  let drawn = '';
  let pictured = '';
  const update = (job) => {
    const preview = job.artifacts?.find(({ name }) => name === 'preview.png');
    // A new picture usually has another size; reloading each preview of a running scene would be too many requests.
    const which = preview && `${isOver(job)} ${isOver(job) ? preview.bytes : ''}`;
    if (preview && which !== pictured) {
      pictured = which;
      showPicture(picture, preview.url, signal);
    }
    const now = JSON.stringify([job.state, job.name, job.progress, job.queue_position, job.cancel_requested]);
    if (now === drawn) return;
    drawn = now;
    link.href = `#/jobs/${job.id}`;
    fill(link, live(() => titleOf(job)));
    chip(state, job);
    fill(line, live(() => summary(job)));
    line.hidden = !summary(job);
    bar.hidden = isOver(job) || job.state === 'queued';
    bar.value = job.progress?.percent ?? 0;
  };
  return { element, update };
}

function summary(job) {
  const parts = job.name ? [moment(job.created_at)] : []; // otherwise the title is the time
  if (job.photo_count) parts.push(t('photos.title', { count: job.photo_count }));
  if (isOver(job) && job.options?.preset) parts.push(presetName(job.options.preset));
  const { percent = 0, eta_s: eta } = job.progress ?? {};
  if (job.state === 'running') {
    parts.push(`${stageText(job.progress?.stage)} ${Math.floor(percent)} %`);
    if (Number.isFinite(eta)) parts.push(t('job.left', { time: duration(eta) }));
  }
  if (job.state === 'queued' && job.queue_position) parts.push(t('job.ahead', { count: job.queue_position }));
  return parts.filter(Boolean).join(' · ');
}
