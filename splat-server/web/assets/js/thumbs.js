// Thumbnails of chosen photos: drawn when they become visible, two at a time, so that 300 phone photos cost
// neither memory nor a frozen page.

const SIDE = 144;
const AT_ONCE = 2;

const waiting = [];
let drawing = 0;
const jobs = new WeakMap();

const inSight = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    inSight.unobserve(entry.target);
    waiting.push(entry.target);
  }
  next();
}, { rootMargin: '200px' });

/** Draws `file` onto `canvas` once it is visible. Calls `onFail` if the browser cannot decode it. */
export function thumbnail(canvas, file, onFail) {
  canvas.width = SIDE;
  canvas.height = SIDE;
  jobs.set(canvas, { file, onFail });
  inSight.observe(canvas);
}

function next() {
  while (drawing < AT_ONCE && waiting.length > 0) {
    const canvas = waiting.shift();
    if (!canvas.isConnected) continue;
    drawing += 1;
    draw(canvas).finally(() => {
      drawing -= 1;
      next();
    });
  }
}

async function draw(canvas) {
  const { file, onFail } = jobs.get(canvas);
  try {
    const bitmap = await createImageBitmap(file, { resizeWidth: SIDE * 2, resizeQuality: 'low' });
    const side = Math.min(bitmap.width, bitmap.height);
    const x = (bitmap.width - side) / 2;
    const y = (bitmap.height - side) / 2;
    canvas.getContext('2d').drawImage(bitmap, x, y, side, side, 0, 0, SIDE, SIDE);
    bitmap.close();
  } catch {
    onFail?.();
  }
}
