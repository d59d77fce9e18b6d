// Where frames come from: the camera through MediaPipe's hand landmarker, or a recorded file played over and over.
// Both give `{ start(onFrame), stop() }`; `onFrame(frame)` gets 64 numbers, or null while no hand is seen.

import { frameOf } from './recording.js';

/** Frames a second of a played recording. */
const PLAY_FPS = 25;

/** Whether MediaPipe was built into the server. */
export async function trackerAvailable() {
  try {
    return (await fetch(new URL('../../mediapipe/vision_bundle.mjs', import.meta.url), { method: 'HEAD' })).ok;
  } catch {
    return false;
  }
}

/**
 * The camera. `model` are the bytes of a `hand_landmarker.task`; `video` shows the picture. Pictures never leave the
 * browser: only the landmarks are sent.
 */
export async function cameraSource(model, video) {
  const folder = new URL('../../mediapipe/', import.meta.url);
  const { HandLandmarker } = await import(new URL('vision_bundle.mjs', folder));
  const files = { wasmLoaderPath: new URL('vision_wasm_internal.js', folder).href, wasmBinaryPath: new URL('vision_wasm_internal.wasm', folder).href };
  const tracker = await HandLandmarker.createFromOptions(files, { baseOptions: { modelAssetBuffer: model }, runningMode: 'VIDEO', numHands: 1 });
  const stream = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 480, facingMode: 'user' }, audio: false });
  video.srcObject = stream;
  video.hidden = false;
  await video.play();
  let running = false;
  let last = -1;
  return {
    start(onFrame) {
      running = true;
      const look = () => {
        if (!running) return;
        if (video.currentTime !== last) {
          last = video.currentTime;
          onFrame(frameOf(tracker.detectForVideo(video, performance.now())));
        }
        requestAnimationFrame(look);
      };
      look();
    },
    stop() {
      running = false;
      for (const track of stream.getTracks()) track.stop();
      video.srcObject = null;
      video.hidden = true;
      tracker.close();
    },
  };
}

/** A recording, played in a loop. */
export function playedSource(frames) {
  let timer = null;
  let at = 0;
  return {
    start(onFrame) {
      clearInterval(timer);
      timer = setInterval(() => {
        onFrame(frames[at % frames.length]);
        at += 1;
      }, 1000 / PLAY_FPS);
    },
    stop() {
      clearInterval(timer);
    },
  };
}
