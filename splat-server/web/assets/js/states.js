// The words and colours of states and stages, shared by the list and the page of one job.

import { NoAnswer } from './api.js';
import { fill } from './dom.js';
import { has, live, serverText, t, tx } from './i18n.js';
import { moment } from './format.js';

const OVER = new Set(['succeeded', 'failed', 'cancelled', 'dead']);

/** Whether nothing more happens by itself. */
export function isOver(job) {
  return OVER.has(job.state);
}

/** Shows the state of a job in `element`: a word, so that colour is only a help. */
export function chip(element, job) {
  const state = job.cancel_requested && job.state === 'running' ? 'cancelling' : job.state;
  if (element.dataset.state === state) return;
  element.className = `chip ${state}`;
  element.dataset.state = state;
  fill(element, tx(`state.${state}`));
}

/** The name that its owner gave, or when it was made, to the second: scenes of the same photos are often begun within a minute. */
export function titleOf(job) {
  return job.name || t('job.untitled', { when: moment(job.created_at, 'medium') });
}

/** What is being done, for people. */
export function stageText(stage) {
  if (!stage) return t('stage.start');
  return has(`stage.${stage}`) ? t(`stage.${stage}`) : stage;
}

/** Steps as people follow them, each of one or more stages of the pipeline. */
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

/** A problem of a job in the language in force, as far as its code is known. */
export function problemNodes({ code, message, hint, reasons }) {
  return live(() => serverText(code, [message, hint].filter(Boolean).join('; '), reasons));
}

/** The same of a request that failed, or that got no answer. */
export function errorText(error) {
  if (error instanceof NoAnswer) return tx('connection.no_answer');
  return problemNodes({ code: error.problem?.code, message: error.message, hint: error.problem?.hint, reasons: error.problem?.reasons });
}
