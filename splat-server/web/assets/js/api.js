// Requests to the service: JSON in and out, problem documents as errors, patience with a server that does not answer.

import { answered, backoff, pause, unanswered } from './connection.js';
import { apiKey, askForKey, authorization, forgetKey } from './key.js';

/** The server refused: `problem` is its RFC 9457 document. */
export class Refused extends Error {
  constructor(status, problem, retryAfter) {
    super(problem?.detail ?? problem?.title ?? `HTTP ${status}`);
    this.name = 'Refused';
    this.status = status;
    this.problem = problem ?? {};
    this.retryAfter = retryAfter;
  }
}

/** No answer came: nothing is known of what the server did. */
export class NoAnswer extends Error {
  constructor(cause) {
    super('the server did not answer', { cause });
    this.name = 'NoAnswer';
  }
}

const AGAIN = new Set([429, 502, 503, 504]);

/** Turns an answer that is no success into a `Refused`. */
export async function refusal(response) {
  let problem = null;
  try {
    problem = await response.json();
  } catch {
    // no document: a proxy in between
  }
  const retryAfter = Number(response.headers.get('Retry-After')) || undefined;
  return new Refused(response.status, problem, retryAfter);
}

/** Where the service lies on its host: `/`, or what a proxy in front puts before it. */
const root = () => (globalThis.document ? new URL(document.documentElement.dataset.root ?? './', document.baseURI).pathname : '/');

/** The address here of a path of the service, which may or may not know what stands before it and on which host it is. */
export function at(address) {
  const path = address.replace(/^https?:\/\/[^/]*/, '');
  const before = root();
  return before !== '/' && path.startsWith(before) ? path : before + path.replace(/^\//, '');
}

/** One request with the key; asks for the key when it is missing or wrong. Resolves to a successful response. */
export async function send(path, { method = 'GET', headers = {}, body, signal, cache } = {}) {
  for (;;) {
    const keyThen = apiKey();
    let response;
    try {
      response = await fetch(at(path), { method, headers: { ...authorization(), ...headers }, body, signal, cache, credentials: 'omit' });
    } catch (cause) {
      if (signal?.aborted) throw cause;
      unanswered();
      throw new NoAnswer(cause);
    }
    if (!AGAIN.has(response.status)) answered();
    if (response.status === 401) {
      if (keyThen === apiKey()) {
        if (keyThen) forgetKey();
        await askForKey({ refused: Boolean(keyThen) });
      }
      continue;
    }
    if (response.ok) return response;
    throw await refusal(response);
  }
}

/** As `send`, but goes on trying while the server does not answer or asks to wait. For requests that may be repeated. */
export async function sendPatiently(path, options = {}) {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await send(path, options);
    } catch (error) {
      const again = error instanceof NoAnswer || (error instanceof Refused && AGAIN.has(error.status));
      if (!again || (options.tries && attempt + 1 >= options.tries)) throw error;
      if (error instanceof Refused) unanswered();
      await pause(error.retryAfter ?? backoff(attempt), options.signal);
    }
  }
}

/** GET that answers JSON. */
export async function getJson(path, options) {
  return (await sendPatiently(path, { cache: 'no-store', ...options })).json();
}

/** POST of JSON that answers JSON, sent once. */
export async function postJson(path, value, { headers = {}, signal } = {}) {
  const response = await send(path, {
    method: 'POST', headers: { 'Content-Type': 'application/json', ...headers }, body: JSON.stringify(value ?? {}), signal,
  });
  return response.json();
}

/** A file of the service as an object URL, so that pictures need no key in their address. Revoke it after use. */
export async function objectUrl(path, options) {
  const response = await sendPatiently(path, options);
  return URL.createObjectURL(await response.blob());
}

/** Random text for an idempotency key; `crypto.randomUUID` is missing on plain HTTP. */
export function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
