// The page of gestures: see a hand, record 100 frames of it under a name, have the service add it to a model, try the
// model live. Works without a camera from a recorded file.

import { getJson, inOrder, postJson, randomKey, Refused } from '../api.js';
import { onConnection } from '../connection.js';
import { announce, fill, h, icon } from '../dom.js';
import { follow } from '../events.js';
import { fixed, moment } from '../format.js';
import { setTitle, setUpFrame } from '../frame.js';
import { has, L, live, serverText, t, tx } from '../i18n.js';
import { apiKey, askForKey } from '../key.js';
import { chip, errorText, isOver, problemNodes } from '../states.js';
import { gestureFrames } from './made_up.js';
import { modelFiles, modelsCard } from './models.js';
import { FRAMES, framesFault, nameFault, readRecording, requestBody } from './recording.js';
import { recorder } from './recorder.js';
import { drawHand } from './skeleton.js';
import { cameraSource, playedSource, trackerAvailable } from './sources.js';
import { trialPanel } from './trial.js';

const BASE = 'base_v1';
/** URL at which MediaPipe's authors publish the detector's weights, which the page does not include. */
const HAND_MODEL = 'https://storage.googleapis.com/mediapipe-models/hand_landmarker/hand_landmarker/float16/latest/hand_landmarker.task';
const main = document.getElementById('main');

const state = { source: null, frames: null, job: null };
const canvas = h('canvas', { class: 'hand', role: 'img', 'aria-label': L('gesture.hand.picture') });
const video = h('video', { class: 'camera', muted: true, playsinline: true, hidden: true, 'aria-hidden': 'true' });
const seen = h('p', { class: 'muted small', role: 'status' });
const complaint = h('p', { class: 'notice problem', role: 'alert', hidden: true });
const take = recorder();
const trial = trialPanel();
let handThere = null;

/** Shows an error below the control that caused it. */
function complain(node, beneath) {
  complaint.hidden = !node;
  if (!node) return;
  beneath.after(complaint);
  fill(complaint, node);
}

function onFrame(frame) {
  drawHand(canvas, frame);
  take.offer(frame);
  trial.offer(frame);
  if (handThere !== Boolean(frame)) {
    handThere = Boolean(frame);
    fill(seen, tx(handThere ? 'gesture.hand.seen' : 'gesture.hand.missing'));
  }
}

function useSource(source) {
  state.source?.stop();
  state.source = source;
  handThere = null;
  source.start(onFrame);
}

/** The card that shows a hand: camera or file. */
function handCard(tracker, form) {
  const model = h('input', { type: 'file', id: 'hand-model', accept: '.task' });
  const camera = h('button', { type: 'button', class: 'primary', disabled: !tracker }, tx('gesture.camera.start'));
  camera.addEventListener('click', async () => {
    complain(null);
    if (!model.files[0]) return complain(tx('gesture.camera.need_model'), camera);
    camera.disabled = true;
    try {
      useSource(await cameraSource(new Uint8Array(await model.files[0].arrayBuffer()), video));
      form.cameraReady();
    } catch (error) {
      console.warn('camera:', error);
      complain(tx(error.name === 'NotAllowedError' ? 'gesture.camera.denied' : 'gesture.camera.failed'), camera);
    }
    camera.disabled = false;
    return undefined;
  });
  const file = h('input', { type: 'file', id: 'sample', accept: '.json,.csv' });
  const which = h('select', { 'aria-label': L('gesture.sample.which'), hidden: true });
  let gestures = new Map();
  const play = (name) => {
    useSource(playedSource(gestures.get(name)));
    form.recorded(gestures.get(name), name);
  };
  const offer = (read) => {
    gestures = read;
    fill(which, [...gestures.keys()].map((name) => h('option', { value: name }, name)));
    which.hidden = gestures.size < 2;
    play(gestures.keys().next().value);
  };
  which.addEventListener('change', () => play(which.value));
  // Thumb and little finger extended, as for a telephone: not one of the base gestures.
  const madeUp = h('button', { type: 'button', class: 'quiet small' }, tx('gesture.sample.made_up'));
  madeUp.addEventListener('click', () => {
    complain(null);
    file.value = '';
    offer(new Map([[t('gesture.sample.made_up.name'), gestureFrames(FRAMES, [0, 4])]]));
  });
  file.addEventListener('change', async () => {
    complain(null);
    try {
      offer(readRecording(await file.files[0].text(), file.files[0].name));
    } catch (error) {
      complain(has(error.message) ? tx(error.message) : document.createTextNode(error.message), which);
    }
  });
  return h('section', { class: 'card', 'aria-labelledby': 'hand-title' },
    h('h2', { id: 'hand-title' }, tx('gesture.hand.title')),
    h('div', { class: 'stage hand-stage' }, video, canvas), seen,
    h('div', { class: 'field' }, h('label', { for: 'sample' }, tx('gesture.sample.label')), file, which,
      h('span', { class: 'muted small' }, tx('gesture.sample.hint')), madeUp),
    h('div', { class: 'field camera-field', role: 'group', 'aria-labelledby': 'camera-title' }, h('h3', { id: 'camera-title' }, tx('gesture.camera.title')),
      h('p', { class: 'muted small' }, tx(tracker ? 'gesture.camera.privacy' : 'gesture.camera.missing')),
      tracker ? [h('label', { for: 'hand-model' }, tx('gesture.camera.model')), model,
        h('a', { class: 'small', href: HAND_MODEL, rel: 'noreferrer', download: true }, tx('gesture.camera.get_model')), camera] : null));
}

/** The card that names, records and sends. */
function recordCard(parents, onJob) {
  const name = h('input', { type: 'text', id: 'gesture-name', required: true, maxlength: 20, autocomplete: 'off', 'aria-describedby': 'gesture-name-hint gesture-name-fault' });
  const nameProblem = h('span', { class: 'problem small', id: 'gesture-name-fault', role: 'alert', hidden: true });
  const nameIs = (fault) => {
    name.setAttribute('aria-invalid', String(Boolean(fault)));
    fill(nameProblem, fault);
    // Screen readers announce even an empty alert.
    nameProblem.hidden = !fault;
  };
  name.addEventListener('input', () => nameIs(null));
  const parent = h('select', { id: 'gesture-parent' });
  const record = h('button', { type: 'button', class: 'primary', disabled: true }, tx('gesture.record.start'));
  const status = h('p', { class: 'muted small', role: 'status' });
  const submit = h('button', { type: 'submit', class: 'primary wide', disabled: true }, tx('gesture.submit'));
  const save = h('button', { type: 'button', class: 'quiet', hidden: true }, tx('gesture.save'));

  const showParents = () => {
    const before = parent.value;
    const names = parents.map(({ labels }) => labels.join(', '));
    // Models of the same gestures are distinguished by their creation time.
    const nameOf = ({ created }, i) => (names.indexOf(names[i]) === names.lastIndexOf(names[i]) ? names[i] : `${names[i]} · ${moment(created, 'medium')}`);
    fill(parent, h('option', { value: BASE }, tx('gesture.parent.base')), parents.map((model, i) => h('option', { value: model.id }, live(() => nameOf(model, i)))));
    // The choice is kept; otherwise the next gesture is added to the newest model.
    parent.value = before || (parents[0]?.id ?? BASE);
  };
  let filledIn = null;
  const recorded = (frames, from) => {
    state.frames = frames;
    // The name belongs to these frames: keeping that of another sample would send a gesture under a wrong name.
    if (from !== undefined) {
      filledIn = nameFault(from.trim()) ? '' : from.trim();
      name.value = filledIn;
    } else if (name.value === filledIn) {
      name.value = '';
    }
    submit.disabled = false;
    save.hidden = false;
    fill(status, tx('gesture.record.done', { count: frames.length }));
  };
  record.addEventListener('click', async () => {
    record.disabled = true;
    const frames = await take.record();
    record.disabled = false;
    record.focus();
    if (frames) recorded(frames);
  });
  save.addEventListener('click', () => {
    const named = name.value.trim();
    const body = requestBody(parent.value, nameFault(named) ? 'gesture' : named, state.frames);
    const url = URL.createObjectURL(new Blob([JSON.stringify(body)], { type: 'application/json' }));
    h('a', { href: url, download: `${body.gesture}.json` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  });
  const rename = (fault) => {
    nameIs(fault);
    name.focus();
  };
  const send = async (body) => {
    complain(null);
    submit.disabled = true;
    try {
      onJob(await postJson('/v1/jobs', body, { headers: { 'Idempotency-Key': randomKey() } }), body);
    } catch (error) {
      if (error.problem?.code === 'name_taken') rename(errorText(error));
      else complain(errorText(error), submit.parentElement);
    }
    submit.disabled = false;
  };
  const form = h('form', {
    class: 'card', 'aria-labelledby': 'record-title',
    onsubmit: (event) => {
      event.preventDefault();
      const fault = nameFault(name.value.trim());
      if (fault) return rename(tx(fault.key, fault.params));
      nameIs(null);
      const bad = framesFault(state.frames);
      return bad ? complain(tx(bad.key, bad.params), submit.parentElement) : send(requestBody(parent.value, name.value.trim(), state.frames));
    },
  },
  h('h2', { id: 'record-title' }, tx('gesture.record.title')),
  h('div', { class: 'field' }, h('label', { for: 'gesture-name' }, tx('gesture.name')), name, h('span', { class: 'muted small', id: 'gesture-name-hint' }, tx('gesture.name.hint')), nameProblem),
  h('div', { class: 'field' }, h('label', { for: 'gesture-parent' }, tx('gesture.parent')), parent),
  take.element, status,
  h('div', { class: 'row' }, record, save), h('div', { class: 'row submit' }, submit));
  showParents();
  return {
    element: form,
    recorded,
    send,
    cameraReady: () => { record.disabled = false; },
    addParent: (model) => {
      parents.unshift(model);
      showParents();
      parent.value = model.id;
    },
    removeParent: (id) => {
      parents.splice(parents.findIndex((model) => model.id === id), 1);
      if (parent.value === id) parent.value = '';
      showParents();
    },
  };
}

/** Whether a gesture was rejected only because it resembles another one, which the user may accept. */
function onlyAlike({ reasons = [] }) {
  return reasons.length > 0 && reasons.every(({ code }) => code === 'look_alike');
}

/** The card that follows the training and shows the model's quality; `resend(body)` adds a rejected gesture anyway. */
function progressCard(onReady, resend) {
  const state_ = h('span', { class: 'chip' });
  const bar = h('progress', { max: 100, value: 0, 'aria-label': L('job.progress') });
  const why = h('div', { class: 'notice problem', hidden: true });
  const figures = h('dl', { class: 'figures' });
  const notes = h('div', { class: 'notice', hidden: true });
  const downloads = h('p', { class: 'row', hidden: true });
  let sent = null;
  const element = h('section', { class: 'card', 'aria-labelledby': 'training-title', hidden: true },
    h('div', { class: 'row between training-head' }, h('h2', { id: 'training-title' }, tx('gesture.training.title')), state_), bar, why, figures, notes, downloads);
  const show = (job) => {
    chip(state_, job);
    bar.value = job.state === 'succeeded' ? 100 : job.progress?.percent ?? 0;
    why.hidden = !job.problem;
    if (job.problem) {
      const accept = () => resend({ ...sent, accept_look_alikes: true });
      fill(why, h('p', {}, problemNodes(job.problem)),
        onlyAlike(job.problem) && !sent.accept_look_alikes ? h('button', { type: 'button', class: 'quiet small', onclick: accept }, tx('gesture.alike.accept')) : null);
    }
    const metrics = { ...job.result?.metrics, ...job.result };
    const rows = ['old_accuracy', 'new_recall', 'unknown_accepted'].filter((key) => Number.isFinite(metrics[key]));
    const counted = { right: Math.round(metrics.new_recall * metrics.new_frames), frames: metrics.new_frames };
    fill(figures, rows.map((key) => h('div', {}, h('dt', {}, tx(`gesture.metric.${key}`)), h('dd', {}, live(() => `${fixed(metrics[key] * 100, 1)} %`),
      key === 'new_recall' && metrics.new_frames ? h('span', { class: 'counted' }, tx('gesture.metric.counted', counted)) : null))));
    notes.hidden = !job.result?.notes?.length;
    const remarks = job.result?.remarks ?? [];
    fill(notes, (job.result?.notes ?? []).map((note, i) => h('p', {}, live(() => serverText(null, note, remarks[i] && [remarks[i]])))));
    if (isOver(job)) {
      announce(t(`state.${job.state}`));
    }
    const files = job.state === 'succeeded' ? modelFiles(job.artifacts) : [];
    downloads.hidden = files.length === 0;
    fill(downloads, files);
  };
  const watch = async (job, body) => {
    sent = body;
    element.hidden = false;
    show(job);
    let latest = job;
    // The card shows the job that was sent last. Earlier ones are followed too, so that their models are added.
    const isShown = () => sent === body;
    const received = inOrder((now) => {
      latest = now;
      if (isShown()) show(now);
    });
    const reload = () => received(getJson(`/v1/jobs/${job.id}`));
    // If this request fails, so does the one at the end of the stream, whose error is shown.
    const reloadMeanwhile = () => reload().catch(() => {});
    await follow(`/v1/jobs/${job.id}/events`, {
      signal: new AbortController().signal,
      isOver: async () => {
        await reload();
        return isOver(latest);
      },
      onGap: reloadMeanwhile,
      onEvent: (kind, event) => {
        if (isShown()) bar.value = event.percent ?? bar.value;
        if (kind === 'state') reloadMeanwhile();
      },
    });
    if (latest.state === 'succeeded') await onReady(latest);
  };
  return { element, watch };
}

async function start() {
  setUpFrame();
  const banner = document.getElementById('banner');
  onConnection((now) => {
    banner.hidden = now === 'ok';
    fill(banner, now === 'ok' ? null : tx('connection.reconnecting'));
  });
  const info = await getJson('/v1/info');
  document.getElementById('version').textContent = info.version ? `splat ${info.version}` : 'splat';
  setTitle(() => `splat · ${t('nav.gestures')}`);
  if (!info.gestures) {
    fill(main, h('h1', {}, tx('gesture.title')), h('p', { class: 'notice' }, tx('gesture.unavailable')));
    return;
  }
  if (info.auth_required && !apiKey()) await askForKey();
  // Models instead of jobs, since jobs expire and models do not. Only models of world landmarks, which this page records.
  const [{ gestures }, tracker] = await Promise.all([getJson('/v1/gestures?limit=200'), trackerAvailable()]);
  const models = gestures.filter(({ layout }) => layout === 'world');

  const tryModel = async (model) => {
    try {
      await trial.load(model);
      complain(null);
    } catch (error) {
      complain(error instanceof Refused ? errorText(error) : h('span', {}, tx('gesture.try.failed'), ` (${error.message})`), trial.element);
    }
  };
  // The form and the models' card share the list.
  const added = async (model) => {
    form.addParent(model);
    kept.show();
    await tryModel(model);
  };
  const kept = modelsCard(models, {
    onNew: added,
    onGone: (id) => {
      form.removeParent(id);
      kept.show();
    },
    onTry: tryModel,
  });
  const progress = progressCard(async (job) => added(await getJson(`/v1/gestures/${job.result.model_code}`)), (body) => form.send(body));
  const form = recordCard(models, (job, body) => progress.watch(job, body).catch((error) => complain(errorText(error), progress.element)));
  if (models[0]) tryModel(models[0]);
  fill(main,
    h('header', { class: 'hero' }, h('h1', { tabindex: -1 }, tx('gesture.title')), h('p', { class: 'lead' }, tx('gesture.lead'))),
    h('div', { class: 'columns even' },
      handCard(tracker, form),
      h('div', { class: 'side' }, form.element, progress.element,
        h('section', { class: 'card', 'aria-labelledby': 'try-title' }, h('h2', { id: 'try-title' }, icon('hand'), ' ', tx('gesture.try.title')), trial.element), kept.element)));
}

window.addEventListener('pagehide', () => state.source?.stop());
start().catch((error) => fill(main, h('p', { class: 'notice problem', role: 'alert' }, errorText(error))));
