// A recording: frames of 64 numbers (21 world landmarks of x, y, z in metres, then the hand: 0 left, 1 right, -1 unknown),
// as the service takes them and as MediaPipe gives them. Read from a file, or made of what the detector saw.

export const FRAME_VALUES = 64;
/** Number of frames that stock clients send. */
export const FRAMES = 100;
const LANDMARKS = 21;
/** Limits of a recording, as in `splat-gesture/src/limits.rs`; a test compares them. A frame like the one before it is not distinct. */
export const MIN_FRAMES = 40;
export const MAX_FRAMES = 600;
export const MIN_DISTINCT_FRAMES = 20;
/** Characters of a name. */
export const MAX_NAME_CHARS = 20;
const FORBIDDEN = /[/\\:*?"<>|\p{Cc}]/u;
/** The models' answer for an unknown hand, which cannot be a gesture's name. */
const NONE = 'none';

/** Why `name`, without spaces around it, cannot be a gesture's name: `{ key, params }` of a text, or null. */
export function nameFault(name) {
  const found = [...name].length;
  if (found === 0) return { key: 'reason.name_blank' };
  if (found > MAX_NAME_CHARS) return { key: 'reason.name_length', params: { found, most: MAX_NAME_CHARS } };
  if (FORBIDDEN.test(name)) return { key: 'reason.name_character' };
  return name.toLowerCase() === NONE ? { key: 'reason.name_none' } : null;
}

/** Why `frames` cannot be a recording: `{ key, params }` of a text, or null. The service also checks what the frames show. */
export function framesFault(frames) {
  const found = frames.length;
  if (found < MIN_FRAMES) return { key: 'reason.too_few_frames', params: { least: MIN_FRAMES, found } };
  if (found > MAX_FRAMES) return { key: 'reason.too_many_frames', params: { most: MAX_FRAMES, found } };
  const distinct = frames.filter((frame, i) => i === 0 || frame.some((value, k) => value !== frames[i - 1][k])).length;
  return distinct < MIN_DISTINCT_FRAMES ? { key: 'reason.frozen' } : null;
}

/** One frame of a result of MediaPipe's HandLandmarker; null where no hand was seen. */
export function frameOf(result) {
  const landmarks = result.worldLandmarks?.[0];
  if (landmarks?.length !== LANDMARKS) return null;
  const hand = result.handedness?.[0]?.[0]?.categoryName;
  const frame = landmarks.flatMap(({ x, y, z }) => [x, y, z]);
  frame.push(hand === 'Left' ? 0 : hand === 'Right' ? 1 : -1);
  return frame.every(Number.isFinite) ? frame : null;
}

/**
 * Gestures in a file: a Map of name to frames. JSON is a request body as this page saves it (`{ gesture, landmarks }`),
 * or a list of frames; CSV has a frame a line, with or without a name in front and a heading. A second column of the
 * heading's name `frame` is left out, and 63 numbers are landmarks of either hand, as the command reads them.
 */
export function readRecording(text, fileName) {
  const gestures = new Map();
  const put = (name, frame) => {
    if (!Array.isArray(frame)) throw new Error('gesture.sample.bad');
    const whole = frame.length === FRAME_VALUES - 1 ? [...frame, -1] : frame;
    if (whole.length !== FRAME_VALUES || !whole.every(Number.isFinite)) throw new Error('gesture.sample.bad');
    gestures.set(name, [...(gestures.get(name) ?? []), whole]);
  };
  const fallback = fileName.replace(/\.\w+$/, '').slice(0, 20);
  if (/^\s*[[{]/.test(text)) {
    let value;
    try {
      value = JSON.parse(text);
    } catch {
      throw new Error('gesture.sample.bad');
    }
    const frames = Array.isArray(value) ? value : value.landmarks;
    if (!Array.isArray(frames)) throw new Error('gesture.sample.bad');
    for (const frame of frames) put(typeof value.gesture === 'string' ? value.gesture : fallback, frame);
  } else {
    const lines = text.split(/\r?\n/).filter((line) => line.trim());
    const titles = (lines[0] ?? '').split(',').map(bare);
    const titled = titles[0].toLowerCase() === 'label';
    const counted = titled && titles[1]?.toLowerCase() === 'frame';
    lines.forEach((line, index) => {
      const cells = line.split(',').map(bare);
      if (counted) cells.splice(1, 1);
      // Without a heading, 64 values are a frame and not a name and a frame without handedness, unless the first is no number.
      const named = titled || cells.length === FRAME_VALUES + 1 || (cells.length === FRAME_VALUES && Number.isNaN(Number(cells[0])));
      const frame = (named ? cells.slice(1) : cells).map((cell) => (cell === '' ? NaN : Number(cell)));
      const heading = index === 0 && (titled || !named) && (titled || !frame.every(Number.isFinite) || frame.every((value, i) => value === i));
      if (!heading) put(named ? cells[0] : fallback, frame);
    });
  }
  if (gestures.size === 0) throw new Error('gesture.sample.bad');
  return gestures;
}

/** A cell without spaces, a spreadsheet's mark and quotes around it. */
function bare(cell) {
  return cell.replace(/^\ufeff/, '').trim().replace(/^"|"$/g, '');
}

/** The body of the request that adds a gesture. */
export function requestBody(parent, gesture, landmarks) {
  return { kind: 'gesture', parent, gesture, landmarks, layout: 'world' };
}
