// Draws a hand: 21 world landmarks on a canvas.

const FINGERS = [[0, 1, 2, 3, 4], [0, 5, 6, 7, 8], [5, 9, 10, 11, 12], [9, 13, 14, 15, 16], [0, 17, 18, 19, 20], [13, 17]];

/** Draws `frame`; `mirrored` as in a mirror, as users expect to see their hand. */
export function drawHand(canvas, frame, { mirrored = true } = {}) {
  const side = canvas.clientWidth || 320;
  if (canvas.width !== side) {
    canvas.width = side;
    canvas.height = side * 0.75;
  }
  const context = canvas.getContext('2d');
  context.clearRect(0, 0, canvas.width, canvas.height);
  if (!frame) return;
  const points = Array.from({ length: 21 }, (_, i) => [frame[i * 3], frame[i * 3 + 1]]);
  const [cx, cy] = [0, 1].map((axis) => (Math.min(...points.map((p) => p[axis])) + Math.max(...points.map((p) => p[axis]))) / 2);
  const scale = canvas.height / 0.24; // 24 cm fill the height
  const place = ([x, y]) => [canvas.width / 2 + (x - cx) * scale * (mirrored ? -1 : 1), canvas.height / 2 + (y - cy) * scale];
  const style = getComputedStyle(canvas);
  context.lineWidth = 4;
  context.lineCap = 'round';
  context.lineJoin = 'round';
  context.strokeStyle = style.getPropertyValue('--hand-bone');
  for (const finger of FINGERS) {
    context.beginPath();
    finger.forEach((joint, i) => context[i ? 'lineTo' : 'moveTo'](...place(points[joint])));
    context.stroke();
  }
  context.fillStyle = style.getPropertyValue('--hand-joint');
  for (const point of points) {
    context.beginPath();
    context.arc(...place(point), 5, 0, 2 * Math.PI);
    context.fill();
  }
}
