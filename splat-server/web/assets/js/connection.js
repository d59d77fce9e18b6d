// Whether the server responds. A request without a response means nothing for a job: the page shows that it is
// reconnecting, and keeps the last known state.

let waiting = 0;
let state = 'ok';
const listeners = new Set();

/** Calls `listener` with `ok` or `reconnecting` on each change. */
export function onConnection(listener) {
  listeners.add(listener);
  listener(state);
  return () => listeners.delete(listener);
}

/** Call when the server has responded. */
export function answered() {
  waiting = 0;
  change('ok');
}

/** Call when a request got no response. A single lost request is ignored; the second is shown. */
export function unanswered() {
  waiting += 1;
  if (waiting > 1 || navigator.onLine === false) change('reconnecting');
}

function change(next) {
  if (next === state) return;
  state = next;
  for (const listener of listeners) listener(state);
}

/**
 * Seconds to wait before try number `attempt` (from 0): doubled each time up to `most`, with jitter, so that a server
 * that returns does not get the requests of all clients at once.
 */
export function backoff(attempt, most = 20) {
  const base = Math.min(most, 0.5 * 2 ** attempt);
  return base * (0.6 + 0.8 * Math.random());
}

/** Waits; ends early when the browser says that it is online again, or with an error when `signal` is aborted. */
export function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const done = () => {
      clearTimeout(timer);
      window.removeEventListener('online', done);
      signal?.removeEventListener('abort', stop);
      resolve();
    };
    const stop = () => {
      clearTimeout(timer);
      window.removeEventListener('online', done);
      reject(signal.reason ?? new DOMException('aborted', 'AbortError'));
    };
    const timer = setTimeout(done, seconds * 1000);
    window.addEventListener('online', done);
    if (signal?.aborted) stop();
    else signal?.addEventListener('abort', stop, { once: true });
  });
}
