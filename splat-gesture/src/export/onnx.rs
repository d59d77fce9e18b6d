//! ONNX files: protocol buffers written by hand, since only a dozen fields of onnx.proto3 are needed.

use super::graph::{Graph, Node, Op, Tensor, TensorId, Values};
use crate::rounded::{WEIGHT_STEP, WEIGHT_ZERO};

/// Version of the file format, and of the operators. Both are years old, so that old runtimes read them.
const IR_VERSION: i64 = 8;
const OPSET: i64 = 13;

// onnx.proto3: TensorProto.DataType
const FLOAT: i64 = 1;
const UINT8: i64 = 2;
const INT64: i64 = 7;
// onnx.proto3: AttributeProto.AttributeType
const ATTRIBUTE_INT: i64 = 2;
const ATTRIBUTE_INTS: i64 = 7;

/// Names of the scale and zero point of quantised weights.
const STEP_NAME: &str = "step";
const ZERO_NAME: &str = "zero";

/// A message under construction: numbered fields, each a number or bytes.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn int(&mut self, field: u64, value: i64) -> &mut Self {
        self.varint(field << 3);
        self.varint(value as u64);
        self
    }

    fn bytes(&mut self, field: u64, value: &[u8]) -> &mut Self {
        self.varint(field << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    fn string(&mut self, field: u64, value: &str) -> &mut Self {
        self.bytes(field, value.as_bytes())
    }

    fn message(&mut self, field: u64, value: &Self) -> &mut Self {
        self.bytes(field, &value.0)
    }
}

/// The file's bytes. The same graph gives the same bytes.
pub(crate) fn write(graph: &Graph) -> Vec<u8> {
    let mut body = Message::default();
    for node in &graph.nodes {
        for part in nodes(node, graph) {
            body.message(1, &part);
        }
    }
    body.string(2, "gestures");
    for (id, tensor) in graph.tensors.iter().enumerate() {
        if let Some(constant) = constant(graph, id, tensor) {
            body.message(5, &constant);
        }
    }
    body.message(5, &initializer(&[], FLOAT, STEP_NAME, &WEIGHT_STEP.to_le_bytes()));
    body.message(5, &initializer(&[], UINT8, ZERO_NAME, &[WEIGHT_ZERO]));
    body.message(11, &value_info(graph, graph.input));
    body.message(12, &value_info(graph, graph.output));

    let mut opset = Message::default();
    opset.string(1, "").int(2, OPSET);
    let mut model = Message::default();
    model.int(1, IR_VERSION).string(2, "splat").string(3, env!("CARGO_PKG_VERSION"));
    model.message(7, &body).message(8, &opset);
    model.0
}

fn name(graph: &Graph, id: TensorId) -> String {
    match id {
        _ if id == graph.input => "landmarks".to_owned(),
        _ if id == graph.output => "scores".to_owned(),
        _ => format!("t{id}"),
    }
}

/// ValueInfoProto of a float tensor.
fn value_info(graph: &Graph, id: TensorId) -> Message {
    let mut shape = Message::default();
    for side in &graph.tensors[id].shape {
        let mut dimension = Message::default();
        dimension.int(1, i64::from(*side));
        shape.message(1, &dimension);
    }
    let mut tensor = Message::default();
    tensor.int(1, FLOAT).message(2, &shape);
    let mut kind = Message::default();
    kind.message(1, &tensor);
    let mut info = Message::default();
    info.string(1, &name(graph, id)).message(2, &kind);
    info
}

/// TensorProto of a fixed tensor.
fn constant(graph: &Graph, id: TensorId, tensor: &Tensor) -> Option<Message> {
    let (kind, data): (i64, Vec<u8>) = match &tensor.values {
        Values::None => return None,
        Values::Float(values) => (FLOAT, values.iter().flat_map(|value| value.to_le_bytes()).collect()),
        Values::Bytes(values) => (UINT8, values.clone()),
        Values::Int(values) => {
            (INT64, values.iter().flat_map(|value| i64::from(*value).to_le_bytes()).collect())
        }
    };
    Some(initializer(&tensor.shape, kind, &name(graph, id), &data))
}

fn initializer(shape: &[i32], kind: i64, name: &str, data: &[u8]) -> Message {
    let mut message = Message::default();
    for side in shape {
        message.int(1, i64::from(*side));
    }
    message.int(2, kind).string(8, name).bytes(9, data);
    message
}

/// NodeProto.
fn node(kind: &str, inputs: &[String], output: &str, attributes: &[(&str, i64)]) -> Message {
    let mut message = Message::default();
    for input in inputs {
        message.string(1, input);
    }
    message.string(2, output).string(4, kind);
    for (name, value) in attributes {
        let mut attribute = Message::default();
        attribute.string(1, name).int(3, *value).int(20, ATTRIBUTE_INT);
        message.message(5, &attribute);
    }
    message
}

/// The nodes that an operator becomes in ONNX.
fn nodes(operator: &Node, graph: &Graph) -> Vec<Message> {
    let mut inputs: Vec<String> = operator.inputs.iter().map(|id| name(graph, *id)).collect();
    let output = name(graph, operator.output);
    let plain = |kind: &str, inputs: &[String]| vec![node(kind, inputs, &output, &[])];
    match operator.op {
        Op::Add => plain("Add", &inputs),
        Op::Sub => plain("Sub", &inputs),
        Op::Mul => plain("Mul", &inputs),
        Op::Div => plain("Div", &inputs),
        Op::Maximum => plain("Max", &inputs),
        Op::Minimum => plain("Min", &inputs),
        Op::Reshape => plain("Reshape", &inputs),
        Op::Sqrt => plain("Sqrt", &inputs),
        Op::Square => {
            inputs.push(inputs[0].clone());
            plain("Mul", &inputs)
        }
        Op::Dequantize => {
            inputs.extend([STEP_NAME.to_owned(), ZERO_NAME.to_owned()]);
            plain("DequantizeLinear", &inputs)
        }
        Op::Gather => vec![node("Gather", &inputs, &output, &[("axis", 0)])],
        Op::Softmax => vec![node("Softmax", &inputs, &output, &[("axis", -1)])],
        Op::Concatenation(axis) => vec![node("Concat", &inputs, &output, &[("axis", i64::from(axis))])],
        Op::Sum => {
            // Sums that remove an axis keep the rank here, as in TFLite.
            vec![node("ReduceSum", &inputs, &output, &[("keepdims", 1)])]
        }
        Op::Slice => {
            // TFLite takes begin and size, ONNX begin and end.
            let end = format!("{output}_end");
            let add = node("Add", &[inputs[1].clone(), inputs[2].clone()], &end, &[]);
            vec![add, node("Slice", &[inputs[0].clone(), inputs[1].clone(), end], &output, &[])]
        }
        Op::Logistic => plain("Sigmoid", &inputs),
        Op::Least(axis) => {
            // The axes are an attribute before operator set 18.
            let mut attribute = Message::default();
            attribute.string(1, "axes").int(8, i64::from(axis)).int(20, ATTRIBUTE_INTS);
            let mut message = Message::default();
            message.string(1, &inputs[0]).string(2, &output).string(4, "ReduceMin").message(5, &attribute);
            vec![message]
        }
        Op::FullyConnected => vec![node("Gemm", &inputs, &output, &[("transB", 1)])],
    }
}
