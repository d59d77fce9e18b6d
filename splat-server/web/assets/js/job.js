// The page of one scene: live progress, previews, results.
//
// The state shown is always the server's: events update the figures between two requests for the job, and a lost
// connection only changes the banner.

import { getJson, inOrder, postJson, randomKey, Refused, send } from './api.js';
import { Chart } from './chart.js';
import { announce, ask, askText, fill, h, icon } from './dom.js';
import { follow } from './events.js';
import { setTitle } from './frame.js';
import { decibel, duration, fixed, moment, whole } from './format.js';
import { L, live, t, tx } from './i18n.js';
import { logFold } from './log.js';
import { LookAround } from './look.js';
import { forComparison, presetName } from './options.js';
import { comparisonCard, downloadsCard, showPicture, viewerFrame } from './results.js';
import { shareCard } from './share.js';
import { chip, errorText, isOver, problemNodes, stageText, stepOf, STEPS, titleOf } from './states.js';

/** Stages from which a run can be resumed. */
const RETRY_FROM = ['prepare', 'features', 'matching', 'mapping', 'train'];

/** The view of job `id`; `{ element, stop }`. */
export function jobView(id, info) {
  const stop = new AbortController();
  const { signal } = stop;
  const element = h('div', { class: 'job-view' }, h('p', { class: 'muted' }, tx('job.loading')));
  let following = null;

  const fail = (error) => {
    if (signal.aborted) return;
    const missing = error instanceof Refused && error.status === 404;
    fill(element, backLink(), h('h1', { tabindex: -1 }, tx(missing ? 'job.not_found' : 'job.unreadable')),
      missing ? h('p', { class: 'muted' }, tx('job.not_found.text')) : h('p', { class: 'notice problem', role: 'alert' }, errorText(error)));
  };

  const start = async () => {
    try {
      const first = await getJson(`/v1/jobs/${id}`, { signal });
      const view = new JobPage(first, info, { signal, restart: start });
      fill(element, view.element);
      element.querySelector('h1').focus({ preventScroll: true });
      view.update(first);
      following?.abort();
      following = new AbortController();
      await view.live(AbortSignal.any([signal, following.signal]));
    } catch (error) {
      fail(error);
    }
  };
  start();
  return { element, stop: () => stop.abort() };
}

function backLink() {
  return h('a', { href: '#/', class: 'back' }, icon('back'), h('span', {}, tx('job.back')));
}

class JobPage {
  #job;
  #info;
  #signal;
  #restart;
  #title = h('h1', { tabindex: -1 });
  #chip = h('span', { class: 'chip' });
  #actions = h('div', { class: 'row actions' });
  #kept = h('p', { class: 'muted small kept' });
  #problem = h('div', { class: 'notice problem', hidden: true });
  #warnings = h('ul', { class: 'notice warnings', hidden: true });
  #steps = h('ol', { class: 'steps' });
  #bar = h('progress', { max: 100, 'aria-label': L('job.progress') });
  #line = h('p', { class: 'row between', role: 'presentation' });
  #picture = h('div', { class: 'stage' });
  #figures = h('dl', { class: 'figures' });
  #loss = new Chart('chart.loss', (value) => fixed(value, 4));
  #psnr = new Chart('chart.psnr', decibel);
  #results = h('div', { class: 'results' });
  #progressCard;
  #log;
  #waiting = h('p', { class: 'muted waiting' });
  #preview = h('img', { alt: L('preview.alt'), class: 'preview', hidden: true, decoding: 'async' });
  #previewCaption = h('p', { class: 'muted small caption' });
  #look = null;
  #latest = null;
  #showing = '';
  #spoken = '';

  constructor(job, info, { signal, restart }) {
    this.#job = job;
    this.#info = info;
    this.#signal = signal;
    this.#restart = restart;
    this.#log = logFold(job, { over: () => isOver(this.#job), signal });
    this.#progressCard = h('section', { class: 'card', 'aria-labelledby': 'progress-title' },
      h('h2', { id: 'progress-title', class: 'sr-only' }, tx('job.progress')), this.#steps, this.#bar, this.#line);
    this.element = h('div', { class: 'job-page' },
      backLink(),
      h('header', { class: 'job-head' }, h('div', { class: 'row' }, this.#title, this.#chip), this.#actions),
      this.#kept, this.#problem, this.#progressCard, this.#warnings,
      h('div', { class: 'split' },
        h('section', { class: 'card picture-card', 'aria-label': L('job.picture') }, this.#picture, this.#previewCaption),
        h('section', { class: 'card', 'aria-labelledby': 'figures-title' },
          h('h2', { id: 'figures-title' }, tx('job.figures')), this.#figures,
          h('div', { class: 'charts' }, this.#loss.element, this.#psnr.element))),
      this.#results, photosFold(job), this.#log.element);
  }

  /** Follows the events until the end. */
  live(signal) {
    if (isOver(this.#job) && !this.#job.links?.events) return Promise.resolve();
    return follow(this.#job.links?.events ?? `/v1/jobs/${this.#job.id}/events`, {
      signal,
      isOver: () => isOver(this.#job),
      onGap: () => this.#reload(),
      onEvent: (kind, event) => this.#take(kind, event),
    });
  }

  #take(kind, event) {
    const data = event.data ?? {};
    const inPast = isOver(this.#job); // replayed events of a finished job only draw the charts
    if (kind === 'progress' && Number.isFinite(data.loss)) {
      this.#loss.add(data.step, data.loss);
      if (inPast) this.#showFigures();
    }
    if (kind === 'eval') {
      this.#psnr.add(data.step ?? 0, data.psnr);
      if (inPast) this.#showFigures();
    }
    if (kind === 'warning') this.#warn(event.message || data.message);
    if (inPast) return;
    // The snapshot is current even if the event is an old one that is replayed.
    this.#job.progress = event.progress ?? { ...this.#job.progress, stage: event.stage, percent: event.percent };
    if (kind !== 'state' && this.#job.state === 'queued') this.#reloadSoon();
    if (kind === 'preview' && (data.url ?? event.url)) this.#showPreview(data.url ?? event.url, data.step ?? event.step);
    if (kind === 'state' || kind === 'artifact') this.#reloadSoon();
    this.#showProgress();
  }

  #warn(message) {
    if (!message) return;
    this.#warnings.hidden = false;
    this.#warnings.append(h('li', {}, message));
  }

  #timer;
  /** Takes a request for the job, or the response to a change: that is newer than every request before it. */
  #answered = inOrder((job) => this.update(job));

  #reloadSoon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#reload(), 120);
  }

  async #reload() {
    try {
      await this.#answered(getJson(`/v1/jobs/${this.#job.id}`, { signal: this.#signal }));
    } catch (error) {
      if (error instanceof Refused && error.status === 404) this.#restart();
    }
  }

  /** Shows the job as received from the server. */
  update(job) {
    const ended = isOver(job) && !isOver(this.#job);
    this.#job = job;
    fill(this.#title, live(() => titleOf(job)));
    chip(this.#chip, job);
    setTitle(() => `${titleOf(job)} · splat`);
    this.#showActions();
    this.#problem.hidden = !job.problem;
    if (job.problem) fill(this.#problem, h('strong', {}, tx('job.why')), ' ', problemNodes(job.problem));
    this.#showKept();
    this.#showPicture();
    this.#showProgress();
    this.#showResults();
    if (ended) {
      announce(t('job.ended', { name: titleOf(job), state: t(`state.${job.state}`) }));
      this.#log.read();
    }
  }

  /** When the job expires. */
  #showKept() {
    const { pinned, expires_at: expires } = this.#job;
    fill(this.#kept, pinned ? tx('job.pinned') : expires ? live(() => t('job.expires', { when: moment(expires) })) : null);
  }

  #showProgress() {
    const { state, progress = {}, queue_position: position } = this.#job;
    const now = state === 'succeeded' ? STEPS.length : Math.max(0, stepOf(progress.stage));
    const over = isOver(this.#job);
    this.#progressCard.hidden = state === 'succeeded';
    if (this.#steps.dataset.now !== `${state} ${now}`) {
      this.#steps.dataset.now = `${state} ${now}`;
      fill(this.#steps, STEPS.map(({ name }, index) => {
        const kind = index < now ? 'done' : index === now && state !== 'queued' ? (over ? 'stopped' : 'now') : 'later';
        return h('li', { class: `step ${kind}`, 'aria-current': kind === 'now' ? 'step' : false },
          h('span', { class: 'step-mark', 'aria-hidden': 'true' }, kind === 'done' ? '✓' : String(index + 1)), h('span', {}, tx(`step.${name}`)));
      }));
    }
    const percent = Math.min(100, progress.percent ?? 0);
    this.#bar.value = percent;
    const where = () => {
      if (state === 'queued') return position ? t('job.ahead', { count: position }) : t('state.queued');
      const detail = progress.stage === 'train' && progress.step ? t('job.step', { step: progress.step, steps: progress.steps ?? 0 }) : '';
      return [over ? t(`state.${state}`) : stageText(progress.stage), detail].filter(Boolean).join(' · ');
    };
    const left = () => (Number.isFinite(progress.eta_s) && state === 'running' ? t('job.left', { time: duration(progress.eta_s) }) : '');
    fill(this.#line, h('span', {}, live(where)), h('span', { class: 'muted' }, live(() => [state === 'queued' ? '' : `${Math.floor(percent)} %`, left()].filter(Boolean).join(' · '))));
    this.#showFigures();
    this.#offerLook();
    if (!over) this.#speak(`${stageText(progress.stage)}, ${Math.floor(percent / 10) * 10} %`);
  }

  #speak(text) {
    if (this.#spoken === text) return;
    this.#spoken = text;
    announce(text);
  }

  #showFigures() {
    // A job that ended before training has no chart.
    for (const chart of [this.#loss, this.#psnr]) chart.element.hidden = isOver(this.#job) && chart.empty;
    const { progress = {}, result = {}, photos, started_at: started, finished_at: finished } = this.#job;
    const rows = [
      ['figure.psnr', result?.psnr ?? progress.psnr, decibel],
      ['figure.cc_psnr', result?.cc_psnr, decibel],
      ['figure.ssim', result?.ssim, (value) => fixed(value, 3)],
      ['figure.gaussians', result?.gaussians ?? progress.gaussians, whole],
      // The chart's own last point: the loss of another step beside it would look inconsistent.
      ['figure.loss', this.#loss.latest ?? progress.loss, (value) => fixed(value, 4)],
      ['figure.photos', photos?.length || undefined, whole],
      ['figure.time', started && finished ? (new Date(finished) - new Date(started)) / 1000 : undefined, duration],
    ].filter(([, value]) => Number.isFinite(value));
    fill(this.#figures, rows.map(([key, value, format]) => h('div', {}, h('dt', {}, tx(key)), h('dd', {}, live(() => format(value))))));
  }

  #showPicture() {
    const { state, artifacts = [], id } = this.#job;
    const scene = state === 'succeeded' && artifacts.some(({ name }) => name === 'scene.ply');
    const want = scene ? 'viewer' : 'preview';
    fill(this.#waiting, tx(isOver(this.#job) ? 'preview.none' : 'preview.waiting'));
    if (want === this.#showing) return;
    this.#showing = want;
    if (scene) {
      const hint = matchMedia('(pointer: coarse)').matches ? 'viewer.hint_touch' : 'viewer.hint';
      fill(this.#previewCaption, this.#info.viewer ? tx(hint) : null);
      fill(this.#picture, viewerFrame(this.#job, this.#info));
      return;
    }
    fill(this.#picture, this.#waiting, this.#preview);
    this.#look = null;
    if (artifacts.some(({ name }) => name === 'preview.png')) this.#showPreview(`/v1/jobs/${id}/artifacts/preview.png`);
  }

  #showPreview(url, step) {
    this.#latest = { url, step };
    if (this.#look?.active) return;
    showPicture(this.#preview, url, this.#signal);
    this.#captionLatest();
  }

  #captionLatest() {
    const { step } = this.#latest ?? {};
    this.#caption(step ? 'preview.step' : 'preview.caption', { step });
  }

  /** Caption of the picture: what it shows and how to move the camera. */
  #caption(key, params) {
    const way = this.#look && matchMedia('(pointer: coarse)').matches ? 'look.hint_touch' : 'look.hint';
    const more = this.#look?.active ? [' ', this.#button('look.back', () => this.#lookBack(), 'quiet small')] : this.#look ? [' · ', tx(way)] : [];
    fill(this.#previewCaption, tx(key, params), more);
  }

  /** Lets the owner look around the scene while it trains. */
  #offerLook() {
    const { state, progress = {}, links, id } = this.#job;
    const trains = state === 'running' && progress.stage === 'train' && Boolean(links?.look) && this.#showing === 'preview';
    if (trains === Boolean(this.#look)) return;
    this.#look?.stop();
    this.#look?.element.remove();
    this.#look = !trains ? null : new LookAround({
      path: links.look ?? `/v1/jobs/${id}/look`, image: this.#preview, signal: this.#signal,
      onPicture: (step) => this.#caption('look.step', { step }),
      onEnd: () => this.#lookBack(),
    });
    if (this.#look) this.#picture.append(this.#look.element);
    // A picture may have arrived before the event that training began: its caption then lacks the hint.
    if (this.#showing === 'preview' && this.#previewCaption.childNodes.length > 0) this.#captionLatest();
  }

  #lookBack() {
    this.#look?.stop();
    if (this.#latest) this.#showPreview(this.#latest.url, this.#latest.step);
    this.#look?.element.focus();
  }

  #showResults() {
    const { state, artifacts = [] } = this.#job;
    const shown = `${state} ${artifacts.map(({ name, bytes }) => name + bytes).join()}`;
    if (this.#results.dataset.shown === shown) return;
    this.#results.dataset.shown = shown;
    const offered = artifacts.length > 0 && isOver(this.#job);
    const shareable = state === 'succeeded' && this.#job.links?.share && artifacts.some(({ name }) => name === 'scene.ply');
    fill(this.#results, offered ? downloadsCard(this.#job, this.#info) : null, shareable ? shareCard(this.#job) : null, offered ? comparisonCard(this.#job, this.#signal) : null);
  }

  #showActions() {
    const { state, cancel_requested: cancelling, kind, pinned } = this.#job;
    const shown = `${state} ${cancelling} ${pinned}`;
    if (this.#actions.dataset.shown === shown) return;
    this.#actions.dataset.shown = shown;
    const had = this.#actions.contains(document.activeElement);
    const buttons = [];
    if (!isOver(this.#job)) buttons.push(this.#button('action.cancel', () => this.#cancel(), 'quiet', cancelling));
    if (isOver(this.#job) && state !== 'succeeded' && kind !== 'gesture') buttons.push(retryControl((from) => this.#retry(from)));
    if (isOver(this.#job) && kind === 'scene') buttons.push(againControl(this.#info?.presets ?? [], this.#job, (preset) => this.#again(preset)));
    if (kind !== 'gesture') buttons.push(this.#button('action.rename', () => this.#rename(), 'quiet'));
    if (isOver(this.#job)) buttons.push(this.#button(pinned ? 'action.unpin' : 'action.pin', () => this.#change({ pinned: !pinned }), 'quiet'));
    if (isOver(this.#job)) buttons.push(this.#button('action.delete', () => this.#delete(), 'quiet'));
    fill(this.#actions, buttons);
    if (had) (this.#actions.querySelector('button:not(:disabled)') ?? this.#title).focus();
  }

  #button(key, action, look, disabled = false) {
    return h('button', { type: 'button', class: look, disabled, onclick: action }, tx(key));
  }

  async #act(action) {
    try {
      await action();
    } catch (error) {
      this.#problem.hidden = false;
      fill(this.#problem, h('span', { role: 'alert' }, errorText(error)));
    }
  }

  async #cancel() {
    const yes = await ask({ title: t('cancel.title'), text: t('cancel.text'), yes: t('cancel.yes'), no: t('cancel.no'), danger: true });
    if (yes) this.#act(async () => this.#answered({ ...this.#job, ...(await postJson(`/v1/jobs/${this.#job.id}/cancel`)) }));
  }

  #retry(from) {
    return this.#act(async () => {
      await postJson(`/v1/jobs/${this.#job.id}/retry`, from ? { from } : {});
      this.#restart();
    });
  }

  /** Another scene from the same photos and camera poses; options other than the preset are kept. */
  #again(preset) {
    return this.#act(async () => {
      const { iterations, max_image_size: size, quality, test, ...options } = this.#job.options ?? {};
      const made = await postJson('/v1/jobs', { from: this.#job.id, options: { ...options, preset } }, { headers: { 'Idempotency-Key': randomKey() } });
      location.hash = `#/jobs/${made.id}`;
    });
  }

  #change(change) {
    return this.#act(async () => {
      const response = await send(`/v1/jobs/${this.#job.id}`, {
        method: 'PATCH', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(change),
      });
      await this.#answered(await response.json());
    });
  }

  async #rename() {
    const name = await askText({ title: t('rename.title'), label: t('rename.label'), value: this.#job.name ?? '', most: 80, yes: t('rename.yes'), no: t('rename.no') });
    if (name !== null) await this.#change({ name: name.trim() || null });
  }

  async #delete() {
    const yes = await ask({ title: t('delete.title'), text: t('delete.text'), yes: t('delete.yes'), no: t('delete.no'), danger: true });
    if (!yes) return;
    await this.#act(async () => {
      await send(`/v1/jobs/${this.#job.id}`, { method: 'DELETE' });
      location.hash = '#/';
    });
  }
}

function retryControl(retry) {
  const select = h('select', { 'aria-label': L('retry.from') }, h('option', { value: '' }, tx('retry.auto')),
    RETRY_FROM.map((stage) => h('option', { value: stage }, tx('retry.stage', { stage: () => stageText(stage) }))));
  return h('span', { class: 'row' }, select, h('button', { type: 'button', class: 'primary', onclick: () => retry(select.value) }, tx('action.retry')));
}

function againControl(presets, job, again) {
  const next = (job.options?.preset ?? 'standard') === 'standard' ? 'high' : 'standard';
  const option = ({ name }) => h('option', { value: name, selected: name === next }, live(() => presetName(name)));
  const compared = presets.filter(forComparison);
  const select = h('select', { 'aria-label': L('create.preset') }, presets.filter((preset) => !forComparison(preset)).map(option),
    compared.length > 0 ? h('optgroup', { label: L('create.comparison') }, compared.map(option)) : null);
  return h('span', { class: 'row' }, select, h('button', { type: 'button', class: 'quiet', onclick: () => again(select.value) }, tx('action.again')));
}

function photosFold(job) {
  if (!job.photos?.length) return null;
  return h('details', { class: 'card fold' },
    h('summary', {}, tx('photos.title', { count: job.photos.length })),
    h('ul', { class: 'photo-names' }, job.photos.map(({ name, width, height }) => h('li', {}, h('span', {}, name), ' ', h('span', { class: 'muted small' }, width ? `${width} × ${height}` : '')))));
}
