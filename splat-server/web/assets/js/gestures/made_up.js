// A synthetic recording, to try the page without a camera or file.

/** Reproducible random numbers, 0..1. */
function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/**
 * World landmarks (metres, y down) of a right hand with some fingers extended and the others curled, while the whole hand
 * turns and trembles a little: a recording that the service accepts. `out` lists the extended fingers, the thumb being 0.
 */
export function gestureFrames(count, out) {
  const random = randomFrom(7);
  const noise = () => 0.0004 * (random() - 0.5);
  // The base of each finger, and the lengths of its three bones.
  const roots = [[-0.025, -0.03, -0.005], [-0.027, -0.088, 0], [-0.005, -0.09, 0.002], [0.015, -0.084, 0.001], [0.032, -0.075, -0.002]];
  const bones = [[0.036, 0.03, 0.025], [0.042, 0.025, 0.02], [0.046, 0.028, 0.021], [0.043, 0.027, 0.021], [0.034, 0.02, 0.018]];
  return Array.from({ length: count }, (_, f) => {
    const sway = 0.06 * Math.sin(f / 7);
    const tilt = 0.25 * Math.sin(f / 23);
    const points = [[0, 0, 0]];
    for (const [finger, root] of roots.entries()) {
      // Bending turns a bone from the hand's own direction (up) towards the palm (-z).
      const bends = out.includes(finger) ? [0.1, 0.1, 0.08] : [1.25, 1.55, 0.9];
      let [x, y, z] = root;
      let angle = finger === 0 ? 0.2 : sway;
      points.push([x, y, z]);
      for (const [bone, length] of bones[finger].entries()) {
        angle += bends[bone] * (finger === 0 ? 0.6 : 1);
        const across = finger === 0 ? (out.includes(0) ? -0.6 : 0.5) : 0.05 * (finger - 2);
        x += length * across * Math.cos(angle);
        y -= length * Math.cos(angle) * Math.sqrt(1 - across * across);
        z -= length * Math.sin(angle);
        points.push([x, y, z]);
      }
    }
    const [c, s] = [Math.cos(tilt), Math.sin(tilt)];
    const turned = points.flatMap(([x, y, z]) => [c * x - s * y + noise(), s * x + c * y + noise(), z + noise()]);
    return [...turned, 1].map((value) => Number(value.toFixed(6)));
  });
}
