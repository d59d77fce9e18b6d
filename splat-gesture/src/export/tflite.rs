//! TFLite files, table by table (schema version 3 of tensorflow/lite/schema/schema.fbs). Only version-1 operators, so that old
//! runtimes can read them.

use flatbuffers::{FlatBufferBuilder, ForwardsUOffset, TableUnfinishedWIPOffset, UnionWIPOffset, WIPOffset};

use super::graph::{Graph, Node, Op, Tensor, TensorId, Values};
use crate::quantize::{INPUT_SCALE, INPUT_ZERO_POINT, OUTPUT_SCALE};
use crate::rounded::{WEIGHT_STEP, WEIGHT_ZERO};

/// Slot of a table's field: its index in the schema.
const fn slot(field: u16) -> u16 {
    4 + 2 * field
}

const SCHEMA_VERSION: u32 = 3;
const IDENTIFIER: &str = "TFL3";

// schema.fbs: TensorType
const FLOAT32: i8 = 0;
const INT32: i8 = 2;
const UINT8: i8 = 3;
// schema.fbs: BuiltinOperator of the two operators at the quantised file's ends
const DEQUANTIZE: i32 = 6;
const QUANTIZE: i32 = 114;

/// schema.fbs: BuiltinOperator, and BuiltinOptions (0 where the operator has none).
fn codes(op: Op) -> (i32, u8) {
    match op {
        Op::Add => (0, 11),
        Op::Concatenation(_) => (2, 10),
        Op::Dequantize => (DEQUANTIZE, 0),
        Op::FullyConnected => (9, 8),
        Op::Logistic => (14, 0),
        Op::Mul => (18, 21),
        Op::Reshape => (22, 17),
        Op::Softmax => (25, 9),
        Op::Gather => (36, 23),
        Op::Sub => (41, 28),
        Op::Div => (42, 29),
        Op::Maximum => (55, 39),
        Op::Minimum => (57, 39),
        Op::Slice => (65, 48),
        Op::Sum => (74, 27),
        Op::Sqrt => (75, 0),
        Op::Least(_) => (89, 27),
        Op::Square => (92, 66),
    }
}

type Builder = FlatBufferBuilder<'static>;
type Table = WIPOffset<flatbuffers::TableFinishedWIPOffset>;

fn table(builder: &mut Builder, fill: impl FnOnce(&mut Builder)) -> Table {
    let start: WIPOffset<TableUnfinishedWIPOffset> = builder.start_table();
    fill(builder);
    builder.end_table(start)
}

/// Runtimes map the file and read numbers in place: schema.fbs requires this alignment of every buffer, bytes.
const ALIGNMENT: usize = 16;
/// The header: offset of the model, and the file identifier.
const FINISH_BYTES: usize = 8;

/// Pads so that the next `length` bytes are aligned. Files are built from the end; because their length is a multiple of
/// [`ALIGNMENT`], distances from the end are aligned like distances from the beginning.
fn align(builder: &mut Builder, length: usize) {
    while !(builder.unfinished_data().len() + length).is_multiple_of(ALIGNMENT) {
        builder.push(0_u8);
    }
}

/// Whether the file's input and output are floats or the legacy bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Numbers {
    Float,
    Legacy,
}

/// A scale and zero point.
type Quantization = (f32, i64);

struct Writer {
    builder: Builder,
    buffers: Vec<Table>,
    tensors: Vec<Table>,
    /// Operator codes in the order of their first use.
    codes: Vec<i32>,
    operators: Vec<Table>,
}

/// The file's bytes. The same graph gives the same bytes.
pub(crate) fn write(graph: &Graph, numbers: Numbers) -> Vec<u8> {
    let builder = FlatBufferBuilder::with_capacity(48 << 10);
    let mut writer = Writer {
        builder,
        buffers: Vec::new(),
        tensors: Vec::new(),
        codes: Vec::new(),
        operators: Vec::new(),
    };
    // By convention the first buffer is empty and belongs to all computed tensors.
    let empty = table(&mut writer.builder, |_| {});
    writer.buffers.push(empty);
    for (id, tensor) in graph.tensors.iter().enumerate() {
        let name = if numbers == Numbers::Float { outer_name(graph, id) } else { "" };
        writer.tensor(tensor, name);
    }
    let (input, output) = match numbers {
        Numbers::Float => (graph.input, graph.output),
        Numbers::Legacy => {
            let input = writer.bytes(
                &graph.tensors[graph.input],
                "landmarks",
                (INPUT_SCALE, i64::from(INPUT_ZERO_POINT)),
            );
            let output = writer.bytes(&graph.tensors[graph.output], "scores", (OUTPUT_SCALE, 0));
            (input, output)
        }
    };
    if numbers == Numbers::Legacy {
        writer.operator(DEQUANTIZE, &[input], graph.input, None);
    }
    for node in &graph.nodes {
        let options = options(&mut writer.builder, node, graph);
        writer.operator(codes(node.op).0, &node.inputs, node.output, options);
    }
    if numbers == Numbers::Legacy {
        writer.operator(QUANTIZE, &[graph.output], output, None);
    }
    writer.finish(input, output)
}

fn outer_name(graph: &Graph, id: TensorId) -> &'static str {
    match id {
        _ if id == graph.input => "landmarks",
        _ if id == graph.output => "scores",
        _ => "",
    }
}

impl Writer {
    fn tensor(&mut self, tensor: &Tensor, name: &str) {
        let (kind, buffer) = match &tensor.values {
            Values::None => (FLOAT32, 0),
            Values::Float(values) => {
                (FLOAT32, self.buffer(values.iter().flat_map(|value| value.to_le_bytes())))
            }
            Values::Bytes(values) => {
                let buffer = self.buffer(values.iter().copied());
                let steps = (WEIGHT_STEP, i64::from(WEIGHT_ZERO));
                return self.push_tensor(&tensor.shape, UINT8, buffer, name, Some(steps));
            }
            Values::Int(values) => (INT32, self.buffer(values.iter().flat_map(|value| value.to_le_bytes()))),
        };
        self.push_tensor(&tensor.shape, kind, buffer, name, None);
    }

    /// A tensor of bytes with the shape of `like`.
    fn bytes(&mut self, like: &Tensor, name: &str, quantization: Quantization) -> TensorId {
        self.push_tensor(&like.shape, UINT8, 0, name, Some(quantization));
        self.tensors.len() - 1
    }

    fn buffer(&mut self, data: impl Iterator<Item = u8>) -> u32 {
        let data: Vec<u8> = data.collect();
        let builder = &mut self.builder;
        align(builder, data.len());
        let vector = builder.create_vector(&data);
        let buffer = table(builder, |builder| builder.push_slot_always(slot(0), vector));
        self.buffers.push(buffer);
        self.buffers.len() as u32 - 1
    }

    fn push_tensor(
        &mut self,
        shape: &[i32],
        kind: i8,
        buffer: u32,
        name: &str,
        quantization: Option<Quantization>,
    ) {
        let builder = &mut self.builder;
        let shape = builder.create_vector(shape);
        let name = (!name.is_empty()).then(|| builder.create_string(name));
        let quantization = quantization.map(|(scale, zero_point)| {
            let scale = builder.create_vector(&[scale]);
            let zero_point = builder.create_vector(&[zero_point]);
            table(builder, |builder| {
                builder.push_slot_always(slot(2), scale);
                builder.push_slot_always(slot(3), zero_point);
            })
        });
        let tensor = table(builder, |builder| {
            builder.push_slot_always(slot(0), shape);
            builder.push_slot(slot(1), kind, 0);
            builder.push_slot(slot(2), buffer, 0);
            if let Some(name) = name {
                builder.push_slot_always(slot(3), name);
            }
            if let Some(quantization) = quantization {
                builder.push_slot_always(slot(4), quantization);
            }
        });
        self.tensors.push(tensor);
    }

    fn operator(&mut self, code: i32, inputs: &[TensorId], output: TensorId, options: Option<(u8, Table)>) {
        let index = self.codes.iter().position(|known| *known == code).unwrap_or_else(|| {
            self.codes.push(code);
            self.codes.len() - 1
        });
        let inputs: Vec<i32> = inputs.iter().map(|id| *id as i32).collect();
        let builder = &mut self.builder;
        let inputs = builder.create_vector(&inputs);
        let outputs = builder.create_vector(&[output as i32]);
        let operator = table(builder, |builder| {
            builder.push_slot(slot(0), index as u32, 0);
            builder.push_slot_always(slot(1), inputs);
            builder.push_slot_always(slot(2), outputs);
            if let Some((kind, options)) = options {
                builder.push_slot(slot(3), kind, 0);
                builder.push_slot_always(slot(4), WIPOffset::<UnionWIPOffset>::new(options.value()));
            }
        });
        self.operators.push(operator);
    }

    fn finish(mut self, input: TensorId, output: TensorId) -> Vec<u8> {
        let builder = &mut self.builder;
        let tensors = vector(builder, &self.tensors);
        let inputs = builder.create_vector(&[input as i32]);
        let outputs = builder.create_vector(&[output as i32]);
        let operators = vector(builder, &self.operators);
        let subgraph = table(builder, |builder| {
            builder.push_slot_always(slot(0), tensors);
            builder.push_slot_always(slot(1), inputs);
            builder.push_slot_always(slot(2), outputs);
            builder.push_slot_always(slot(3), operators);
        });
        let subgraphs = vector(builder, &[subgraph]);
        let mut codes = Vec::new();
        for code in &self.codes {
            // All codes are below 127, so both the old and the new field can hold them; the version is 1, the default.
            codes.push(table(builder, |builder| {
                builder.push_slot(slot(0), *code as i8, 0);
                builder.push_slot(slot(3), *code, 0);
            }));
        }
        let codes = vector(builder, &codes);
        let buffers = vector(builder, &self.buffers);
        let description = builder.create_string("hand gestures, by splat");
        let model = table(builder, |builder| {
            builder.push_slot(slot(0), SCHEMA_VERSION, 0);
            builder.push_slot_always(slot(1), codes);
            builder.push_slot_always(slot(2), subgraphs);
            builder.push_slot_always(slot(3), description);
            builder.push_slot_always(slot(4), buffers);
        });
        align(builder, FINISH_BYTES);
        builder.finish(model, Some(IDENTIFIER));
        builder.finished_data().to_vec()
    }
}

type Tables = flatbuffers::Vector<'static, ForwardsUOffset<flatbuffers::Table<'static>>>;

fn vector(builder: &mut Builder, tables: &[Table]) -> WIPOffset<Tables> {
    let offsets: Vec<WIPOffset<flatbuffers::Table<'static>>> =
        tables.iter().map(|table| WIPOffset::new(table.value())).collect();
    WIPOffset::new(builder.create_vector(&offsets).value())
}

/// The operator's options table, if it has one.
fn options(builder: &mut Builder, node: &Node, graph: &Graph) -> Option<(u8, Table)> {
    let kind = codes(node.op).1;
    if kind == 0 {
        return None;
    }
    let shape = &graph.tensors[node.output].shape;
    let options = match node.op {
        Op::Concatenation(axis) => table(builder, |builder| builder.push_slot(slot(0), axis, 0)),
        Op::Softmax => table(builder, |builder| builder.push_slot(slot(0), 1.0_f32, 0.0)),
        Op::Sum | Op::Least(_) => table(builder, |builder| builder.push_slot(slot(0), true, false)),
        Op::Reshape => {
            let shape = builder.create_vector(shape);
            table(builder, |builder| builder.push_slot_always(slot(0), shape))
        }
        _ => table(builder, |_| {}),
    };
    Some((kind, options))
}
