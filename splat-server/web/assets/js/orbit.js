// A camera that orbits a point. Cameras are as in cameras.json: x right, y down, z forward; rows of world_from_cam.

const add = (a, b) => [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
const scale = (a, s) => [a[0] * s, a[1] * s, a[2] * s];
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
const length = (a) => Math.sqrt(dot(a, a));

/** Smallest angle to straight up or down, in radians: beyond it left and right would be swapped. */
const POLE = 0.1;
/** Minimum and maximum distance, relative to the initial one. */
const NEAREST = 0.1;
const FARTHEST = 6;

/** `v` rotated by `angle` around the unit vector `axis` (Rodrigues). */
function turned(v, axis, angle) {
  const [c, s] = [Math.cos(angle), Math.sin(angle)];
  return add(add(scale(v, c), scale(cross(axis, v), s)), scale(axis, dot(axis, v) * (1 - c)));
}

export class Orbit {
  #columns;
  #offset;
  #point;
  #up;
  #side;
  #rise;
  #yaw = 0;
  #pitch = 0;
  #zoom = 1;

  /** Starts at `camera`, `{ position, rotation }`, and orbits `around`, `{ point, up }`. */
  constructor(camera, { point, up }) {
    this.#columns = [0, 1, 2].map((column) => camera.rotation.map((row) => row[column]));
    this.#offset = add(camera.position, scale(point, -1));
    this.#point = point;
    this.#up = up;
    const side = cross(this.#offset, up);
    // Straight above the point, the camera's own right axis is used.
    this.#side = length(side) > 1e-6 * (length(this.#offset) || 1) ? scale(side, 1 / length(side)) : this.#columns[0];
    this.#rise = Math.asin(Math.max(-1, Math.min(1, dot(this.#offset, up) / (length(this.#offset) || 1))));
  }

  /** Rotates to the right and upwards, by angles in radians. */
  turn(right, upwards) {
    this.#yaw += right;
    const [lowest, highest] = [Math.min(this.#rise, POLE - Math.PI / 2), Math.max(this.#rise, Math.PI / 2 - POLE)];
    this.#pitch = Math.max(lowest, Math.min(highest, this.#rise + this.#pitch + upwards)) - this.#rise;
  }

  /** Scales the distance: nearer below 1. */
  zoom(factor) {
    this.#zoom = Math.max(NEAREST, Math.min(FARTHEST, this.#zoom * factor));
  }

  /** The current camera. */
  camera() {
    const move = (v) => turned(turned(v, this.#side, this.#pitch), this.#up, this.#yaw);
    const columns = this.#columns.map(move);
    return {
      position: add(this.#point, scale(move(this.#offset), this.#zoom)),
      rotation: [0, 1, 2].map((row) => columns.map((column) => column[row])),
    };
  }
}
