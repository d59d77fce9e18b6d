// Requests to the service: JSON in and out, problem documents as errors, patience with a server that does not answer.

import { answered, backoff, pause, unanswered } from './connection.js';
import { apiKey, askForKey, authorization, forgetKey } from './key.js';

/** An error response: `problem` is its RFC 9457 document. */
export class Refused extends Error {
  constructor(status, problem, retryAfter) {
    super(problem?.detail ?? problem?.title ?? `HTTP ${status}`);
    this.name = 'Refused';
    this.status = status;
    this.problem = problem ?? {};
    this.retryAfter = retryAfter;
  }
}

/** No response arrived; whether the server acted on the request is unknown. */
export class NoAnswer extends Error {
  constructor(cause) {
    super('the server did not answer', { cause });
    this.name = 'NoAnswer';
  }
}

const AGAIN = new Set([429, 502, 503, 504]);

/** Converts an error response to a `Refused`. */
export async function refusal(response) {
  let problem = null;
  try {
    problem = await response.json();
  } catch {
    // not a problem document: the response is from a proxy in between
  }
  const retryAfter = Number(response.headers.get('Retry-After')) || undefined;
  return new Refused(response.status, problem, retryAfter);
}

/** Path prefix of the service on its host: `/`, or the prefix that a reverse proxy adds. */
const root = () => (globalThis.document ? new URL(document.documentElement.dataset.root ?? './', document.baseURI).pathname : '/');

/** URL of one of the service's paths, which may or may not include the proxy's prefix and host. */
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

/** As `send`, but retries while the server does not respond or asks to wait. For idempotent requests. */
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

/** GET with a JSON response. */
export async function getJson(path, options) {
  return (await sendPatiently(path, { cache: 'no-store', ...options })).json();
}

/**
 * Responses to requests for the same thing may arrive in another order than the requests were sent. The returned function takes
 * a promise, and calls `use` with its value, or `drop` if the value of a promise given later has already been used.
 */
export function inOrder(use, drop = () => {}) {
  let asked = 0;
  let used = 0;
  return async (promise) => {
    asked += 1;
    const turn = asked;
    const value = await promise;
    if (turn < used) {
      drop(value);
      return;
    }
    used = turn;
    use(value);
  };
}

/** POST of JSON with a JSON response, sent once. */
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
