// Resumable uploads: a small client of tus 1.0.0 (https://tus.io/protocols/resumable-upload), with creation.
//
// A dropped connection only loses the bytes in transit: the client asks the server how much it has, and sends the rest.
// It retries at growing intervals while the browser is open; only an error response ends an upload.

import { at, Refused, refusal, send, NoAnswer } from './api.js';
import { answered, backoff, pause, unanswered } from './connection.js';
import { authorization } from './key.js';

/** Bytes per request: small enough that progress on the server is real, large enough that 2 GB are 128 requests. */
const CHUNK = 16 * 1024 * 1024;
/** Longest Retry-After that is waited for; beyond it the upload counts as rejected. */
const LONGEST_WAIT_S = 60;
const VERSION = { 'Tus-Resumable': '1.0.0' };
const REMEMBERED = 'splat.uploads';

/** UTF-8 text in base64, as Upload-Metadata requires. */
export function base64(text) {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}

/** Uploads known from before a reload, by file: `{ fingerprint: url }`. */
function remembered() {
  try {
    return JSON.parse(localStorage.getItem(REMEMBERED) ?? '{}');
  } catch {
    return {};
  }
}

function remember(fingerprint, url) {
  try {
    const all = remembered();
    if (url) all[fingerprint] = url;
    else delete all[fingerprint];
    const newest = Object.entries(all).slice(-500);
    localStorage.setItem(REMEMBERED, JSON.stringify(Object.fromEntries(newest)));
  } catch {
    // a reload then starts over
  }
}

/** Forgets the uploads of these files, which now belong to a job. */
export function forgetUploads(files) {
  for (const file of files) remember(fingerprintOf(file), null);
}

function fingerprintOf(file) {
  return `${file.name}|${file.size}|${file.lastModified}`;
}

/**
 * Uploads one file. `onProgress(bytes)` is called with the bytes sent so far. Resolves to the upload's URL, whose last segment
 * is its id; throws `Refused` if the server rejects the file.
 */
export async function upload(file, { endpoint = '/v1/uploads', onProgress = () => {}, signal } = {}) {
  const fingerprint = fingerprintOf(file);
  let url = remembered()[fingerprint] ?? null;
  let offset = url ? await offsetOf(url, signal) : null;
  if (offset === null) {
    url = await create(endpoint, file, signal);
    offset = 0;
    remember(fingerprint, url);
  }
  onProgress(offset);
  let attempt = 0;
  while (offset < file.size) {
    try {
      offset = await sendPart(url, file, offset, onProgress, signal);
      attempt = 0;
    } catch (error) {
      if (signal?.aborted) throw error;
      const again = error instanceof NoAnswer || (error instanceof Refused && [401, 409, 423, 429, 460].includes(error.status))
        || (error instanceof Refused && error.status >= 500);
      if (!again) {
        remember(fingerprint, null);
        throw error;
      }
      await pause(error.retryAfter ?? backoff(attempt), signal);
      attempt += 1;
      const known = await offsetOf(url, signal);
      if (known === null) {
        url = await create(endpoint, file, signal); // the server no longer has it
        remember(fingerprint, url);
      }
      offset = known ?? 0;
      onProgress(offset);
    }
  }
  return url;
}

/** Deletes an upload; best effort, since unused uploads expire. */
export function withdraw(url) {
  send(url, { method: 'DELETE', headers: VERSION }).catch(() => {});
}

async function patiently(signal, request) {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await request();
    } catch (error) {
      const busy = error instanceof Refused && (error.status === 429 || error.status >= 500) && error.status !== 507;
      const again = error instanceof NoAnswer || (busy && (error.retryAfter ?? 0) <= LONGEST_WAIT_S);
      if (!again) throw error;
      await pause(error.retryAfter ?? backoff(attempt), signal);
    }
  }
}

async function create(endpoint, file, signal) {
  const headers = { ...VERSION, 'Upload-Length': String(file.size), 'Upload-Metadata': `filename ${base64(file.name)}` };
  const response = await patiently(signal, () => send(endpoint, { method: 'POST', headers, signal }));
  return new URL(response.headers.get('Location'), location.href).pathname;
}

/** Number of bytes that the server has; null if it has no such upload. */
async function offsetOf(url, signal) {
  try {
    const response = await patiently(signal, () => send(url, { method: 'HEAD', headers: VERSION, signal, cache: 'no-store' }));
    const offset = Number(response.headers.get('Upload-Offset'));
    return Number.isSafeInteger(offset) ? offset : null;
  } catch (error) {
    if (error instanceof Refused && error.status < 500) return null;
    throw error;
  }
}

/** One PATCH, by XMLHttpRequest, because fetch does not report upload progress. Resolves to the new offset. */
function sendPart(url, file, offset, onProgress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const stop = () => request.abort();
    const end = (settle, value) => {
      signal?.removeEventListener('abort', stop);
      settle(value);
    };
    request.open('PATCH', at(url));
    const headers = { ...authorization(), ...VERSION, 'Upload-Offset': String(offset), 'Content-Type': 'application/offset+octet-stream' };
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => onProgress(offset + event.loaded);
    request.onload = async () => {
      answered();
      if (request.status === 204 || request.status === 200) {
        const next = Number(request.getResponseHeader('Upload-Offset'));
        end(resolve, Number.isSafeInteger(next) && next > offset ? next : Math.min(file.size, offset + CHUNK));
        return;
      }
      const headersOf = new Headers(request.getResponseHeader('Retry-After') ? { 'Retry-After': request.getResponseHeader('Retry-After') } : {});
      end(reject, await refusal({ status: request.status, headers: headersOf, json: async () => JSON.parse(request.responseText) }));
    };
    request.onerror = () => {
      unanswered();
      end(reject, new NoAnswer());
    };
    request.onabort = () => end(reject, signal?.reason ?? new DOMException('aborted', 'AbortError'));
    if (signal?.aborted) return request.onabort();
    signal?.addEventListener('abort', stop, { once: true });
    request.send(file.slice(offset, offset + CHUNK));
  });
}
