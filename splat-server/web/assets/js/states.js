// Texts and colours of states and stages, shared by the list and the page of one job.

import { NoAnswer } from './api.js';
import { fill } from './dom.js';
import { has, live, serverText, t, tx } from './i18n.js';
import { moment } from './format.js';

const OVER = new Set(['succeeded', 'failed', 'cancelled', 'dead']);

/** Whether the job has ended. */
export function isOver(job) {
  return OVER.has(job.state);
}

/** Shows the state of a job in `element`, as a word, so that it does not depend on colour. */
export function chip(element, job) {
  const state = job.cancel_requested && job.state === 'running' ? 'cancelling' : job.state;
  if (element.dataset.state === state) return;
  element.className = `chip ${state}`;
  element.dataset.state = state;
  fill(element, tx(`state.${state}`));
}

/** The job's name, or its creation time with seconds, since scenes from the same photos are often started within a minute. */
export function titleOf(job) {
  return job.name || t('job.untitled', { when: moment(job.created_at, 'medium') });
}

/** Description of the current stage. */
export function stageText(stage) {
  if (!stage) return t('stage.start');
  return has(`stage.${stage}`) ? t(`stage.${stage}`) : stage;
}

/** Steps shown to users, each of one or more stages of the pipeline. */
export const STEPS = [
  { name: 'photos', stages: ['extract', 'photograph', 'prepare'] },
  { name: 'cameras', stages: ['features', 'matching', 'mapping', 'undistort', 'load'] },
  { name: 'train', stages: ['train'] },
  { name: 'finish', stages: ['evaluate', 'save', 'render', 'upload'] },
];

/** Index into `STEPS`; -1 before the first. */
export function stepOf(stage) {
  return STEPS.findIndex(({ stages }) => stages.includes(stage));
}

/** A job's problem in the current language, if its code is translated. */
export function problemNodes({ code, message, hint, reasons }) {
  return live(() => serverText(code, [message, hint].filter(Boolean).join('; '), reasons));
}

/** The same for a request that failed or got no response. */
export function errorText(error) {
  if (error instanceof NoAnswer) return tx('connection.no_answer');
  return problemNodes({ code: error.problem?.code, message: error.message, hint: error.problem?.hint, reasons: error.problem?.reasons });
}
