// Writes small ONNX files for tests of the reader, with the fields that the service writes.

function varint(value) {
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes = [];
  while (rest >= 128n) {
    bytes.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  return [...bytes, Number(rest)];
}

const int = (field, value) => [...varint(field << 3), ...varint(value)];
const bytes = (field, content) => [...varint((field << 3) | 2), ...varint(content.length), ...content];
const string = (field, text) => bytes(field, [...new TextEncoder().encode(text)]);

/** A tensor of floats, of integers, or of bytes. */
export function tensor(name, shape, values, kind = 'floats') {
  const [type, width] = { floats: [1, 4], bytes: [2, 1], integers: [7, 8] }[kind];
  const raw = new DataView(new ArrayBuffer(values.length * width));
  values.forEach((value, i) => {
    if (kind === 'integers') raw.setBigInt64(i * width, BigInt(value), true);
    else if (kind === 'bytes') raw.setUint8(i, value);
    else raw.setFloat32(i * width, value, true);
  });
  return [...shape.flatMap((side) => int(1, side)), ...int(2, type), ...string(8, name), ...bytes(9, new Uint8Array(raw.buffer))];
}

/** A node; attributes are integers or lists of them. */
export function node(op, inputs, output, attributes = {}) {
  const parts = Object.entries(attributes).map(([name, value]) => bytes(5, [...string(1, name), ...(Array.isArray(value) ? [...value.flatMap((part) => int(8, part)), ...int(20, 7)] : [...int(3, value), ...int(20, 2)])]));
  return [...inputs.flatMap((name) => string(1, name)), ...string(2, output), ...string(4, op), ...parts.flat()];
}

/** The file: input `landmarks`, output `scores`. */
export function onnx(nodes, constants) {
  const graph = [...nodes.flatMap((part) => bytes(1, part)), ...constants.flatMap((part) => bytes(5, part)), ...bytes(11, string(1, 'landmarks')), ...bytes(12, string(1, 'scores'))];
  return new Uint8Array([...int(1, 8), ...string(2, 'splat'), ...bytes(7, graph), ...bytes(8, int(2, 13))]);
}

/** A model of two classes: the sum of the frame's y coordinates above or below 0. */
export function upOrDown() {
  const row = Array.from({ length: 64 }, (_, i) => (i < 63 && i % 3 === 1 ? 4 : 0));
  return onnx(
    [node('Reshape', ['landmarks', 'flat'], 'x'), node('Gemm', ['x', 'weights', 'bias'], 'sums', { transB: 1 }), node('Softmax', ['sums'], 'scores', { axis: -1 })],
    [tensor('flat', [2], [1, 64], 'integers'), tensor('weights', [2, 64], [...row, ...row.map((value) => -value)]), tensor('bias', [2], [0, 0])],
  );
}
