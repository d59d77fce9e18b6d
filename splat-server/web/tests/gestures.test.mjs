// Modules of the page of gestures, without a browser: reading recordings, running models.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { OnnxModel } from '../assets/js/gestures/onnx.js';
import { frameOf, framesFault, MAX_FRAMES, MAX_NAME_CHARS, MIN_DISTINCT_FRAMES, MIN_FRAMES, nameFault, readRecording, requestBody } from '../assets/js/gestures/recording.js';
import { node, onnx, tensor, upOrDown } from './onnx-writer.mjs';

/** Result of one operator. */
function compute(op, inputs, attributes, input = [1, 2, 3, 4, 5, 6]) {
  const names = inputs.map((_, i) => `c${i}`);
  const constants = inputs.flatMap((value, i) => (value === null ? [] : [tensor(names[i], value.shape, value.data, value.kind)]));
  const model = new OnnxModel(onnx([node(op, names.map((name, i) => (inputs[i] === null ? 'landmarks' : name)), 'scores', attributes)], constants));
  return model.run(input);
}
const floats = (shape, ...data) => ({ shape, data });
const ints = (...data) => ({ shape: [data.length], data, kind: 'integers' });
const bytes = (shape, ...data) => ({ shape, data, kind: 'bytes' });
const close = (a, b) => {
  assert.equal(a.length, b.length);
  a.forEach((value, i) => assert.ok(Math.abs(value - b[i]) < 1e-6, `${a} against ${b}`));
};

test('every operator computes what ONNX says', () => {
  const grid = floats([2, 3], 1, 2, 3, 4, 5, 6);
  close(compute('Add', [grid, floats([3], 10, 20, 30)]), [11, 22, 33, 14, 25, 36]);
  close(compute('Sub', [grid, floats([2, 1], 1, 2)]), [0, 1, 2, 2, 3, 4]);
  close(compute('Mul', [floats([2, 1], 2, 3), floats([1, 2], 5, 7)]), [10, 14, 15, 21]);
  close(compute('Div', [floats([2], 1, 9), floats([1], 3)]), [1 / 3, 3]);
  close(compute('Max', [grid, floats([1], 3.5)]), [3.5, 3.5, 3.5, 4, 5, 6]);
  close(compute('Min', [grid, floats([1], 3.5)]), [1, 2, 3, 3.5, 3.5, 3.5]);
  close(compute('Sqrt', [floats([2], 4, 9)]), [2, 3]);
  close(compute('Relu', [floats([3], -1, 0, 2)]), [0, 0, 2]);
  close(compute('Sigmoid', [floats([2], 0, 2)]), [0.5, 1 / (1 + Math.exp(-2))]);
  close(compute('Softmax', [floats([2, 2], 0, 0, 1000, 1001)], { axis: -1 }), [0.5, 0.5, 1 / (1 + Math.E), Math.E / (1 + Math.E)]);
  close(compute('Slice', [grid, ints(1, 0), ints(2, 2)]), [4, 5]);
  close(compute('Slice', [grid, ints(1), ints(3), ints(-1)]), [2, 3, 5, 6]);
  close(compute('ReduceMin', [floats([2, 3], 5, 2, 7, 1, 9, 4)], { axes: [1], keepdims: 1 }), [2, 1]);
  close(compute('ReduceMin', [floats([2, 2, 1], 5, 2, 1, 9)], { axes: [1] }), [2, 1]);
  close(compute('Gather', [grid, ints(1, 0, 1)], { axis: 0 }), [4, 5, 6, 1, 2, 3, 4, 5, 6]);
  close(compute('Gather', [floats([3], 7, 8, 9), ints(2, 0)]), [9, 7]);
  close(compute('Concat', [grid, floats([2, 1], 8, 9)], { axis: 1 }), [1, 2, 3, 8, 4, 5, 6, 9]);
  close(compute('Concat', [grid, floats([1, 3], 7, 8, 9)], { axis: 0 }), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
  close(compute('ReduceSum', [grid, ints(1)], { keepdims: 1 }), [6, 15]);
  close(compute('ReduceSum', [grid, ints(0)], { keepdims: 0 }), [5, 7, 9]);
  close(compute('ReduceSum', [grid, ints(0, 1)], { keepdims: 1 }), [21]);
  close(compute('Gemm', [floats([1, 2], 2, 3), floats([2, 2], 1, 10, 100, 1000), floats([2], 0.5, -0.5)], { transB: 1 }), [32.5, 3199.5]);
  close(compute('DequantizeLinear', [bytes([2, 2], 0, 127, 128, 255), floats([], 0.5), bytes([], 128)]), [-64, -0.5, 0, 63.5]);
  close(compute('Reshape', [null, ints(3, 2)]), [1, 2, 3, 4, 5, 6]);
});

test('a whole model runs, and a damaged one is refused at every cut', () => {
  const file = upOrDown();
  const frame = Array.from({ length: 64 }, (_, i) => (i % 3 === 1 ? 0.05 : 0));
  const [up, down] = new OnnxModel(file).run(frame);
  assert.ok(up > 0.95 && Math.abs(up + down - 1) < 1e-9);
  for (let cut = 0; cut < file.length - 8; cut += 7) assert.throws(() => new OnnxModel(file.subarray(0, cut)), Error, `cut at ${cut}`);
  assert.throws(() => new OnnxModel(onnx([node('Einsum', ['landmarks'], 'scores')], [])), /Einsum/);
});

const frame = (offset) => Array.from({ length: 64 }, (_, i) => (i === 63 ? 1 : (i + offset) / 1000));

test('recordings are read from this page\'s JSON and from CSV', () => {
  const body = requestBody('base_v1', 'wave', [frame(0), frame(1)]);
  assert.deepEqual(readRecording(JSON.stringify(body), 'x.json'), new Map([['wave', [frame(0), frame(1)]]]));
  assert.deepEqual(readRecording(JSON.stringify([frame(0)]), 'thumb.json').get('thumb'), [frame(0)]);
  const heading = ['label', ...Array(64).keys()].join();
  const csv = [heading, ['paper', ...frame(0)].join(), ['rock', ...frame(1)].join(), ['paper', ...frame(2)].join(), ''].join('\r\n');
  assert.deepEqual(readRecording(csv, 'x.csv'), new Map([['paper', [frame(0), frame(2)]], ['rock', [frame(1)]]]));
  // Files that the command reads: with a column of frame numbers, and with 63 numbers of either hand.
  const counted = ['label,frame', ...Array(63).keys()].join();
  const short = (i) => frame(i).slice(0, 63);
  assert.deepEqual(readRecording([counted, ['A', 0, ...short(4)].join(), ['"A"', 1, ...short(5)].join()].join('\n'), 'x.csv'), new Map([['A', [[...short(4), -1], [...short(5), -1]]]]));
  assert.deepEqual(readRecording(['\ufeffLabel', ...Array(63).keys()].join() + '\n' + ['A', ...short(6)].join(), 'x.csv'), new Map([['A', [[...short(6), -1]]]]));
  assert.deepEqual(readRecording(frame(3).join(), 'bare.csv'), new Map([['bare', [frame(3)]]]));
});

test('files that hold no recording are refused', () => {
  for (const bad of ['', '{}', '[]', '{"landmarks": 3}', '[[1,2,3]]', '{', 'a,b,c', [...frame(0).slice(1), ''].join(), JSON.stringify([frame(0), null]), `paper,${frame(0).join()},9`]) {
    assert.throws(() => readRecording(bad, 'x'), /gesture\.sample\.bad/, bad.slice(0, 30));
  }
});

test('names are what clients can make files of', () => {
  for (const good of ['a', '가위바위보', 'thumbs up', '👍'.repeat(20)]) assert.equal(nameFault(good), null, good);
  for (const bad of ['', 'a'.repeat(21), ...'/\\:*?"<>|'].map((name) => (name.length === 1 ? `x${name}` : name))) assert.notEqual(nameFault(bad), null, bad);
});

test('what the hand landmarker gives becomes a frame', () => {
  const worldLandmarks = [Array.from({ length: 21 }, (_, i) => ({ x: i, y: i + 0.5, z: -i }))];
  const of = (hand) => frameOf({ worldLandmarks, handedness: hand ? [[{ categoryName: hand }]] : [] });
  assert.deepEqual([of('Left')[63], of('Right')[63], of(null)[63], of('Left').length], [0, 1, -1, 64]);
  assert.deepEqual(of('Right').slice(3, 6), [1, 1.5, -1]);
  assert.equal(frameOf({ worldLandmarks: [] }), null);
  assert.equal(frameOf({ worldLandmarks: [worldLandmarks[0].slice(1)] }), null);
});

test('names and recordings that the service refuses are known before', () => {
  for (const [name, fault] of [['', 'blank'], ['x'.repeat(21), 'length'], ['a/b', 'character'], ['a\u0007', 'character'], ['none', 'none'], ['NONE', 'none']]) assert.equal(nameFault(name).key, `reason.name_${fault}`, name);
  for (const name of ['nonesuch', '없음', '👍👍']) assert.equal(nameFault(name), null, name);
  const moving = (count) => Array.from({ length: count }, (_, i) => frame(i));
  assert.equal(framesFault(moving(39)).key, 'reason.too_few_frames');
  assert.equal(framesFault(moving(40)), null);
  assert.equal(framesFault(moving(601)).key, 'reason.too_many_frames');
  assert.equal(framesFault([...moving(19), ...Array(30).fill(frame(18))]).key, 'reason.frozen');
  assert.equal(framesFault([...moving(20), ...Array(30).fill(frame(19))]), null, '20 of 50 are distinct');
});

test('limits are those of the service', () => {
  const found = (file, pattern) => Number(readFileSync(new URL(`../../../splat-gesture/src/${file}`, import.meta.url), 'utf8').match(pattern)[1]);
  const limit = (name) => found('limits.rs', new RegExp(`const ${name}: usize = (\\d+);`));
  assert.deepEqual([MIN_FRAMES, MAX_FRAMES, MIN_DISTINCT_FRAMES, MAX_NAME_CHARS], ['MIN_FRAMES', 'MAX_FRAMES', 'MIN_DISTINCT_FRAMES', 'MAX_NAME_CHARS'].map(limit));
});
