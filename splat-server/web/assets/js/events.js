// A job's events: server-sent events read through fetch, since EventSource cannot send the key. Reconnects and continues
// after the last event received, until the job has ended.

import { send, Refused } from './api.js';
import { backoff, pause, unanswered } from './connection.js';

/** Time without any event or heartbeat after which the connection counts as dead; heartbeats come every 15 s. */
const SILENCE_S = 40;

/** Splits a stream of text into events `{ id, event, data }`. */
export class EventParser {
  #rest = '';
  #fields = { data: [] };

  /** Events that are complete after `text`. */
  push(text) {
    const events = [];
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop();
    for (const raw of lines) {
      const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw;
      if (line === '') {
        if (this.#fields.data.length > 0) events.push({ ...this.#fields, data: this.#fields.data.join('\n') });
        this.#fields = { data: [] };
        continue;
      }
      const colon = line.indexOf(':');
      if (colon === 0) continue; // a heartbeat
      const name = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
      if (name === 'data') this.#fields.data.push(value);
      else if (name === 'id' || name === 'event') this.#fields[name] = value;
    }
    return events;
  }
}

/**
 * Follows the events of a job. `onEvent(kind, event)` is called for each; `onGap()` after each reconnection, when the
 * job should be fetched again. `isOver()` may be asynchronous; it is called when the server has ended the stream. If
 * the job is over, `follow` resolves; if not, the stream is opened again.
 */
export async function follow(path, { onEvent, onGap, isOver, signal }) {
  let lastId = null;
  for (let attempt = 0; !signal.aborted; attempt += 1) {
    const silence = new AbortController();
    const either = AbortSignal.any([signal, silence.signal]);
    let timer;
    const heard = () => {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE_S * 1000);
    };
    try {
      heard();
      const headers = { Accept: 'text/event-stream', ...(lastId ? { 'Last-Event-ID': lastId } : {}) };
      const response = await send(path, { headers, signal: either, cache: 'no-store' });
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      const parser = new EventParser();
      if (attempt > 0) onGap();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        heard();
        attempt = 0;
        for (const event of parser.push(value)) {
          if (event.id) lastId = event.id;
          onEvent(event.event ?? 'message', JSON.parse(event.data));
        }
      }
      if (await isOver()) return;
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Refused && error.status < 500 && error.status !== 429) throw error;
      unanswered();
    } finally {
      clearTimeout(timer);
    }
    await pause(backoff(attempt), signal).catch(() => {});
  }
}
