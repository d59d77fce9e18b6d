// Derives the viewer's initial camera and the up direction from the training cameras.
//
// COLMAP's world has an arbitrary orientation; the viewer orbits around +y. Photographers hold the horizon level, so up is
// perpendicular to the cameras' x axes; where these do not determine it, the mean of the cameras' own up does.

const add = (a, b) => [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
const scale = (a, s) => [a[0] * s, a[1] * s, a[2] * s];
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
const length = (a) => Math.sqrt(dot(a, a));
const unit = (a) => scale(a, 1 / (length(a) || 1));

/** Weight of the cameras' own up relative to the level horizon. */
const OWN_UP = 0.05;
/** The rotation that the viewer applies to every PLY: half a turn around z, as (x, y, z, w). */
const HALF_TURN_Z = [0, 0, 1, 0];

/** Solves the symmetric 3x3 system `m x = b`, by Cramer's rule; null where it is singular. */
function solve(m, b) {
  const [r0, r1, r2] = m;
  const det = dot(r0, cross(r1, r2));
  if (!(Math.abs(det) > 1e-12)) return null;
  return scale(add(add(scale(cross(r1, r2), b[0]), scale(cross(r2, r0), b[1])), scale(cross(r0, r1), b[2])), 1 / det);
}

/** `a * b` of quaternions (x, y, z, w). */
function multiply(a, b) {
  const va = a.slice(0, 3);
  const vb = b.slice(0, 3);
  return [...add(add(scale(vb, a[3]), scale(va, b[3])), cross(va, vb)), a[3] * b[3] - dot(va, vb)];
}

/** `v` rotated by the quaternion `q`. */
export function rotate(q, v) {
  const u = q.slice(0, 3);
  const t = scale(cross(u, v), 2);
  return add(add(v, scale(t, q[3])), cross(u, t));
}

/** Axis `column` of a camera in the world: rows of `rotation` are those of world_from_cam. */
const axis = (camera, column) => camera.rotation.map((row) => row[column]);

/** The up direction in COLMAP's world. Camera x is right, y down, z forward. */
export function upOf(cameras) {
  const own = unit(cameras.reduce((sum, camera) => add(sum, scale(axis(camera, 1), -1)), [0, 0, 0]));
  const m = [[OWN_UP, 0, 0], [0, OWN_UP, 0], [0, 0, OWN_UP]];
  for (const camera of cameras) {
    const right = axis(camera, 0);
    for (let i = 0; i < 3; i += 1) for (let j = 0; j < 3; j += 1) m[i][j] += (right[i] * right[j]) / cameras.length;
  }
  return unit(solve(m, scale(own, OWN_UP)) ?? own);
}

/** The point nearest to all lines of sight; null where they are parallel. */
function focusOf(cameras) {
  const m = [[0, 0, 0], [0, 0, 0], [0, 0, 0]];
  let b = [0, 0, 0];
  for (const camera of cameras) {
    const forward = axis(camera, 2);
    for (let i = 0; i < 3; i += 1) {
      for (let j = 0; j < 3; j += 1) {
        const entry = (i === j ? 1 : 0) - forward[i] * forward[j];
        m[i][j] += entry;
        b[i] += entry * camera.position[j];
      }
    }
  }
  return solve(m, b);
}

/** The rotation (x, y, z, w) that makes the scene upright in the viewer, whose y axis points up. */
export function uprightRotation(up) {
  const turned = rotate(HALF_TURN_Z, up);
  const bend = cross(turned, [0, 1, 0]);
  const w = 1 + turned[1];
  if (w < 1e-6) return [0, 0, 0, 1]; // upside down: two half turns cancel
  const q = [...bend, w];
  const norm = Math.hypot(...q);
  return multiply(q.map((part) => part / norm), HALF_TURN_Z);
}

/** `{ rotation, initial: { position, target, fov } | null }` in the viewer's world. */
export function startFrom(cameras) {
  const sound = (cameras ?? []).filter((camera) => [camera.position, ...(camera.rotation ?? [[]])].flat().every(Number.isFinite) && camera.rotation?.length === 3);
  if (sound.length === 0) return { rotation: HALF_TURN_Z, initial: null };
  const rotation = uprightRotation(upOf(sound));
  const first = sound[0];
  const forward = axis(first, 2);
  const focus = focusOf(sound);
  const ahead = focus ? dot(add(focus, scale(first.position, -1)), forward) : 0;
  const spread = sound.reduce((most, camera) => Math.max(most, length(add(camera.position, scale(first.position, -1)))), 0);
  const distance = ahead > 0.05 * spread && ahead < 20 * spread ? ahead : spread || 1;
  const target = add(first.position, scale(forward, distance));
  const fov = (2 * Math.atan(first.height / (2 * first.fy)) * 180) / Math.PI;
  return {
    rotation,
    initial: { position: rotate(rotation, first.position), target: rotate(rotation, target), fov: Math.min(90, Math.max(25, fov || 60)) },
  };
}
