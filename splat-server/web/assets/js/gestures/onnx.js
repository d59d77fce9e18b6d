// Runs the delivered model.onnx itself, so that the page tries exactly what apps get. Reads the few protocol buffer
// fields and implements the dozen operators that the service's models use; others are reported as errors by name.
// Formats: onnx.proto3 and the operators of opset 13 (https://onnx.ai/onnx/operators/).

const FLOAT = 1;
const UINT8 = 2;
const INT64 = 7;

/** Fields of a protocol buffer message: `[number, value]`, where a value is a BigInt or bytes. */
function* fields(bytes) {
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[at];
      if (byte === undefined) throw new Error('the model ends in the middle of a number');
      at += 1;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return BigInt.asIntN(64, value);
    }
    throw new Error('the model holds a number that is too long');
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const wire = tag & 7;
    if (wire === 0) {
      yield [tag >> 3, varint()];
      continue;
    }
    const length = wire === 2 ? Number(varint()) : wire === 1 ? 8 : wire === 5 ? 4 : NaN;
    if (!(length >= 0 && at + length <= bytes.length)) throw new Error('the model is cut off or damaged');
    yield [tag >> 3, bytes.subarray(at, at + length)];
    at += length;
  }
}

const text = (bytes) => new TextDecoder().decode(bytes);

/** A repeated integer field, packed or not. */
function pushInts(list, value) {
  if (typeof value === 'bigint') list.push(Number(value));
  else for (const [, packed] of fields(value)) list.push(Number(packed));
}

function readTensor(bytes) {
  const tensor = { shape: [], name: '', type: 0, raw: null };
  for (const [field, value] of fields(bytes)) {
    if (field === 1) pushInts(tensor.shape, value);
    else if (field === 2) tensor.type = Number(value);
    else if (field === 8) tensor.name = text(value);
    else if (field === 9) tensor.raw = value;
  }
  const view = new DataView(tensor.raw.buffer, tensor.raw.byteOffset, tensor.raw.byteLength);
  const count = tensor.shape.reduce((product, side) => product * side, 1);
  const width = { [FLOAT]: 4, [UINT8]: 1, [INT64]: 8 }[tensor.type];
  if (!width || view.byteLength !== count * width) throw new Error(`the model's tensor ${tensor.name} is not what its shape says`);
  const read = { [FLOAT]: (at) => view.getFloat32(at, true), [UINT8]: (at) => view.getUint8(at), [INT64]: (at) => Number(view.getBigInt64(at, true)) }[tensor.type];
  const data = Array.from({ length: count }, (_, i) => read(i * width));
  return { name: tensor.name, tensor: { shape: tensor.shape, data } };
}

function readNode(bytes) {
  const node = { inputs: [], outputs: [], op: '', attributes: {} };
  for (const [field, value] of fields(bytes)) {
    if (field === 1) node.inputs.push(text(value));
    else if (field === 2) node.outputs.push(text(value));
    else if (field === 4) node.op = text(value);
    else if (field === 5) {
      let [name, number] = ['', 0];
      for (const [part, content] of fields(value)) {
        if (part === 1) name = text(content);
        else if (part === 3) number = Number(content);
        else if (part === 8) pushInts((number = number || []), content);
      }
      node.attributes[name] = number;
    }
  }
  if (!Object.hasOwn(OPERATORS, node.op)) throw new Error(`the model uses the operator ${node.op}, which this page cannot compute`);
  return node;
}

function nameOf(bytes) {
  for (const [field, value] of fields(bytes)) if (field === 1) return text(value);
  return '';
}

const size = (shape) => shape.reduce((product, side) => product * side, 1);

/** Whether a tensor of shape `part` repeats along the leading axes of one of shape `whole`, both of one rank. */
function repeats(part, whole) {
  const first = part.findIndex((side) => side !== 1);
  return first < 0 || part.slice(first).every((side, i) => side === whole[first + i]);
}

/** Element-wise with numpy's broadcasting. */
function elementwise(compute) {
  return (inputs) => inputs.reduce((a, b) => {
    const rank = Math.max(a.shape.length, b.shape.length);
    const pad = ({ shape }) => [...Array(rank - shape.length).fill(1), ...shape];
    const [sa, sb] = [pad(a), pad(b)];
    const shape = sa.map((side, axis) => Math.max(side, sb[axis]));
    // Usually one operand repeats as a whole, which needs no index per axis.
    if (repeats(sb, sa)) return { shape, data: a.data.map((value, flat) => compute(value, b.data[flat % b.data.length])) };
    if (repeats(sa, sb)) return { shape, data: b.data.map((value, flat) => compute(a.data[flat % a.data.length], value)) };
    const data = Array.from({ length: size(shape) }, (_, flat) => {
      let [rest, ia, ib, ta, tb] = [flat, 0, 0, 1, 1];
      for (let axis = rank - 1; axis >= 0; axis -= 1) {
        const index = rest % shape[axis];
        rest = Math.floor(rest / shape[axis]);
        ia += (sa[axis] === 1 ? 0 : index) * ta;
        ib += (sb[axis] === 1 ? 0 : index) * tb;
        ta *= sa[axis];
        tb *= sb[axis];
      }
      return compute(a.data[ia], b.data[ib]);
    });
    return { shape, data };
  });
}

const subtract = elementwise((a, b) => a - b);
const multiply = elementwise((a, b) => a * b);
const each = (compute) => ([{ shape, data }]) => ({ shape, data: data.map(compute) });
const axisOf = (axis, rank) => (axis < 0 ? axis + rank : axis);

function softmax([{ shape, data }]) {
  const width = shape.at(-1);
  const out = [];
  for (let at = 0; at < data.length; at += width) {
    const row = data.slice(at, at + width);
    const most = Math.max(...row);
    const powers = row.map((value) => Math.exp(value - most));
    const sum = powers.reduce((a, b) => a + b, 0);
    out.push(...powers.map((value) => value / sum));
  }
  return { shape, data: out };
}

function reshape([x, wanted]) {
  const known = wanted.data.reduce((product, side) => (side > 0 ? product * side : product), 1);
  return { shape: wanted.data.map((side, axis) => (side === -1 ? size(x.shape) / known : side === 0 ? x.shape[axis] : side)), data: x.data };
}

/** Selects elements: `place(index)` maps an index of the result to one of the source. */
function pick(x, shape, place) {
  const strides = x.shape.map((_, axis) => size(x.shape.slice(axis + 1)));
  const data = Array.from({ length: size(shape) }, (_, flat) => {
    const index = [];
    let rest = flat;
    for (let axis = shape.length - 1; axis >= 0; axis -= 1) {
      index[axis] = rest % shape[axis];
      rest = Math.floor(rest / shape[axis]);
    }
    return x.data[place(index).reduce((sum, at, axis) => sum + at * strides[axis], 0)];
  });
  return { shape, data };
}

function slice([x, starts, ends, axes]) {
  const begin = x.shape.map(() => 0);
  const shape = [...x.shape];
  starts.data.forEach((start, i) => {
    const axis = axes ? axisOf(axes.data[i], shape.length) : i;
    begin[axis] = start < 0 ? start + x.shape[axis] : start;
    const end = ends.data[i] < 0 ? ends.data[i] + x.shape[axis] : Math.min(ends.data[i], x.shape[axis]);
    shape[axis] = end - begin[axis];
  });
  return pick(x, shape, (index) => index.map((at, axis) => at + begin[axis]));
}

function gather([x, indices], { axis = 0 }) {
  if (axis !== 0 || indices.shape.length !== 1) throw new Error('this page gathers along the first axis only');
  return pick(x, [indices.data.length, ...x.shape.slice(1)], ([first, ...rest]) => [indices.data[first], ...rest]);
}

function concat(inputs, { axis }) {
  const along = axisOf(axis, inputs[0].shape.length);
  const shape = [...inputs[0].shape];
  shape[along] = inputs.reduce((sum, input) => sum + input.shape[along], 0);
  const inner = size(shape.slice(along + 1));
  const data = [];
  for (let outer = 0; outer < size(shape.slice(0, along)); outer += 1) {
    for (const input of inputs) {
      const run = input.shape[along] * inner;
      data.push(...input.data.slice(outer * run, (outer + 1) * run));
    }
  }
  return { shape, data };
}

/** Reduces along axes by `combine`, beginning with `start`. The axes are an input, or an attribute in older operators. */
const reduce = (start, combine) => ([x, axes], { axes: listed, keepdims = 1 }) => {
  const rank = x.shape.length;
  const over = new Set((axes?.data ?? listed ?? [...x.shape.keys()]).map((axis) => axisOf(axis, rank)));
  const kept = x.shape.map((side, axis) => (over.has(axis) ? 1 : side));
  const data = Array(size(kept)).fill(start);
  x.data.forEach((value, flat) => {
    let [rest, at, step] = [flat, 0, 1];
    for (let axis = rank - 1; axis >= 0; axis -= 1) {
      const index = rest % x.shape[axis];
      rest = Math.floor(rest / x.shape[axis]);
      if (!over.has(axis)) {
        at += index * step;
        step *= x.shape[axis];
      }
    }
    data[at] = combine(data[at], value);
  });
  return { shape: keepdims ? kept : x.shape.filter((_, axis) => !over.has(axis)), data };
};

function gemm([x, weights, bias], { transA = 0, transB = 0 }) {
  if (transA || !transB) throw new Error('this page multiplies by transposed weights only');
  const [rows, inner] = x.shape;
  const [columns] = weights.shape;
  const data = [];
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      let sum = bias ? bias.data[column] : 0;
      for (let k = 0; k < inner; k += 1) sum += x.data[row * inner + k] * weights.data[column * inner + k];
      data.push(sum);
    }
  }
  return { shape: [rows, columns], data };
}

const OPERATORS = {
  DequantizeLinear: ([x, scale, zero]) => multiply([subtract([x, zero]), scale]),
  Add: elementwise((a, b) => a + b),
  Sub: subtract,
  Mul: multiply,
  Div: elementwise((a, b) => a / b),
  Max: elementwise(Math.max),
  Min: elementwise(Math.min),
  Sqrt: each(Math.sqrt),
  Relu: each((value) => Math.max(0, value)),
  Sigmoid: each((value) => 1 / (1 + Math.exp(-value))),
  Softmax: softmax,
  Reshape: reshape,
  Slice: slice,
  Gather: gather,
  Concat: concat,
  ReduceSum: reduce(0, (a, b) => a + b),
  ReduceMin: reduce(Infinity, Math.min),
  Gemm: gemm,
};

/** Adds a node's output to the tensors. */
function compute({ op, inputs, outputs, attributes }, tensors) {
  const values = inputs.map((name) => tensors.get(name));
  if (values.includes(undefined)) throw new Error(`the model's ${op} lacks an input`);
  tensors.set(outputs[0], OPERATORS[op](values, attributes));
}

/** A model from the bytes of an ONNX file; `run(values)` maps its input `[1, n, 1]` to the scores. */
export class OnnxModel {
  /** Tensors that do not depend on the input: the file's constants, and what is computed from them alone. */
  #constants = new Map();
  #nodes = [];
  #input;
  #output;

  constructor(bytes) {
    let graph = null;
    for (const [field, value] of fields(bytes)) if (field === 7) graph = value;
    if (!graph || typeof graph === 'bigint') throw new Error('this is no ONNX model');
    const nodes = [];
    for (const [field, value] of fields(graph)) {
      if (field === 1) nodes.push(readNode(value));
      else if (field === 5) {
        const { name, tensor } = readTensor(value);
        this.#constants.set(name, tensor);
      } else if (field === 11) this.#input = nameOf(value);
      else if (field === 12) this.#output = nameOf(value);
    }
    for (const node of nodes) {
      if (node.inputs.every((name) => this.#constants.has(name))) compute(node, this.#constants);
      else this.#nodes.push(node);
    }
  }

  run(values) {
    const tensors = new Map(this.#constants);
    tensors.set(this.#input, { shape: [1, values.length, 1], data: [...values] });
    for (const node of this.#nodes) compute(node, tensors);
    return tensors.get(this.#output).data;
  }
}
