// Looking around a scene while it trains: drags move the camera, and each picture is requested when the previous one has arrived. So pictures
// come as fast as the machine allows, and requests never pile up.

import { NoAnswer, postJson, Refused } from './api.js';
import { backoff, pause } from './connection.js';
import { h } from './dom.js';
import { L } from './i18n.js';
import { Orbit } from './orbit.js';

/** Rotation by a drag across the whole picture, radians. */
const TURN = Math.PI;
/** Rotation by an arrow key, radians, and zoom factor of a plus or minus key. */
const KEY_TURN = Math.PI / 24;
const KEY_ZOOM = 0.88;
/** Longest sides of pictures in pixels: while the camera rests, and the smallest while it moves. */
const SHARP = 640;
const COARSE = 160;
/** Response times in milliseconds: slower responses make pictures smaller while the camera moves, faster ones larger. */
const SLOW_MS = 500;
const FAST_MS = 200;
/** Interval between pictures while the camera rests, in seconds. */
const STILL_S = 2;

/** The way a key moves the camera: right, up, zoom. */
const KEYS = {
  ArrowLeft: [-KEY_TURN, 0, 1], ArrowRight: [KEY_TURN, 0, 1], ArrowUp: [0, KEY_TURN, 1], ArrowDown: [0, -KEY_TURN, 1],
  '+': [0, 0, KEY_ZOOM], '=': [0, 0, KEY_ZOOM], '-': [0, 0, 1 / KEY_ZOOM],
};

export class LookAround {
  #path;
  #image;
  #signal;
  #handlers;
  #orbit = null;
  #waiting = [0, 0, 1];
  #version = 0;
  #wake = () => {};
  #run = null;
  #side = SHARP / 2;

  /**
   * Pictures are requested from `path` and shown in `image`. `onPicture(step)` is called for each, `onEnd()` after the last. `element` lies
   * over the image and receives pointer and key events.
   */
  constructor({ path, image, signal, onPicture, onEnd }) {
    this.#path = path;
    this.#image = image;
    this.#signal = signal;
    this.#handlers = { onPicture, onEnd };
    this.element = h('div', {
      class: 'look', tabindex: 0, role: 'application', 'aria-label': L('look.label'),
      onpointerdown: (event) => this.#drag(event),
      onkeydown: (event) => this.#key(event),
      onwheel: (event) => this.#wheel(event),
    });
  }

  /** Whether the picture is from the user's own camera. */
  get active() {
    return Boolean(this.#run);
  }

  /** Back to the previews. */
  stop() {
    this.#run?.abort();
    this.#run = null;
    this.#orbit = null;
    this.#waiting = [0, 0, 1];
  }

  #drag(event) {
    if (event.button !== 0) return;
    let [x, y] = [event.clientX, event.clientY];
    const width = this.element.clientWidth || 1;
    const move = ({ clientX, clientY }) => {
      // The scene follows the pointer, so the camera moves in the opposite direction.
      this.#move((-(clientX - x) * TURN) / width, ((clientY - y) * TURN) / width, 1);
      [x, y] = [clientX, clientY];
    };
    const end = () => {
      this.element.removeEventListener('pointermove', move);
      this.element.classList.remove('dragging');
    };
    this.element.setPointerCapture(event.pointerId);
    this.element.classList.add('dragging');
    this.element.addEventListener('pointermove', move);
    this.element.addEventListener('pointerup', end, { once: true });
    this.element.addEventListener('pointercancel', end, { once: true });
  }

  #key(event) {
    const way = KEYS[event.key];
    if (!way || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.#move(...way);
  }

  #wheel(event) {
    // Until looking around begins, the wheel scrolls the page as usual; a pinch arrives as a wheel event with Ctrl.
    if (!this.active && !event.ctrlKey) return;
    event.preventDefault();
    this.#move(0, 0, Math.exp(Math.max(-0.3, Math.min(0.3, event.deltaY / (event.deltaMode ? 10 : 400)))));
  }

  #move(right, up, zoom) {
    if (!right && !up && zoom === 1) return;
    this.#waiting = [this.#waiting[0] + right, this.#waiting[1] + up, this.#waiting[2] * zoom];
    this.#version += 1;
    if (!this.#run) {
      this.#run = new AbortController();
      this.#pictures(AbortSignal.any([this.#signal, this.#run.signal]));
    }
    this.#wake();
  }

  async #pictures(signal) {
    let [failures, shown, sharp] = [0, -1, false];
    while (!signal.aborted) {
      const version = this.#version;
      const moving = version !== shown;
      try {
        if (!moving && sharp) await this.#moved(STILL_S, signal);
        if (signal.aborted) return;
        const view = await this.#ask(moving || version !== this.#version ? this.#side : SHARP, signal);
        if (signal.aborted) return;
        failures = 0;
        // The first response determines the initial camera; its picture was not requested for any camera.
        if (!this.#orbit) {
          this.#orbit = new Orbit(view.camera, view.around);
          continue;
        }
        sharp = !moving;
        shown = version;
        await this.#show(view);
        if (signal.aborted) return;
        this.#handlers.onPicture(view.step);
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof Refused || error instanceof NoAnswer)) throw error;
        if (error instanceof Refused && error.status !== 429 && error.status < 500) {
          this.stop();
          this.#handlers.onEnd();
          return;
        }
        failures += 1;
        await pause(error.retryAfter ?? backoff(failures), signal).catch(() => {});
      }
    }
  }

  async #ask(side, signal) {
    let camera;
    if (this.#orbit) {
      const [right, up, zoom] = this.#waiting;
      this.#waiting = [0, 0, 1];
      this.#orbit.turn(right, up);
      this.#orbit.zoom(zoom);
      camera = this.#orbit.camera();
    }
    const begun = performance.now();
    const view = await postJson(this.#path, { camera, longest_side: camera ? side : COARSE }, { signal });
    const took = performance.now() - begun;
    if (took > SLOW_MS) this.#side = Math.max(COARSE, this.#side / 2);
    else if (took < FAST_MS) this.#side = Math.min(SHARP, this.#side * 2);
    return view;
  }

  async #show({ jpeg }) {
    const bytes = Uint8Array.from(atob(jpeg), (char) => char.charCodeAt(0));
    const before = this.#image.src;
    this.#image.src = URL.createObjectURL(new Blob([bytes], { type: 'image/jpeg' }));
    this.#image.hidden = false;
    // Decoded before the next request, or a slow device would never show any.
    await this.#image.decode().catch(() => {});
    if (before.startsWith('blob:')) URL.revokeObjectURL(before);
  }

  /** Resolves when the camera is moved, after this many seconds at the latest. */
  #moved(seconds, signal) {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        this.#wake = () => {};
        resolve();
      };
      const timer = setTimeout(done, seconds * 1000);
      signal.addEventListener('abort', done, { once: true });
      this.#wake = done;
    });
  }
}
