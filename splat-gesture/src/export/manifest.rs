//! The manifest: what a program needs to know about an export besides the models.

use std::collections::BTreeMap;

use serde::Serialize;

use super::ExportFile;
use crate::axes::AXES;
use crate::bundle::{Bundle, Provenance};
use crate::features::{HANDEDNESS_WEIGHT, UPRIGHT};
use crate::frame::Layout;
use crate::limits::FRAME_VALUES;
use crate::model::{ACCEPT_SCORE, STEEPNESS};
use crate::quantize::{INPUT_SCALE, INPUT_ZERO_POINT, OUTPUT_SCALE};
use crate::report::Report;
use crate::store::sha256_hex;

/// Format version of manifests.
const FORMAT: u32 = 1;

#[derive(Serialize)]
struct Manifest<'a> {
    format: u32,
    kind: &'static str,
    /// [`Bundle::id`].
    id: String,
    labels: Vec<String>,
    layout: Layout,
    input: Input,
    legacy: Legacy,
    normalisation: Normalisation,
    model: Shape,
    thresholds: Thresholds,
    files: BTreeMap<&'static str, File>,
    metrics: &'a Report,
    provenance: &'a Provenance,
}

#[derive(Serialize)]
struct Input {
    shape: [usize; 3],
    values: &'static str,
    coordinates: &'static str,
}

#[derive(Serialize)]
struct Legacy {
    input_scale: f32,
    input_zero_point: u8,
    output_scale: f32,
    output_zero_point: u8,
    note: &'static str,
}

#[derive(Serialize)]
struct Normalisation {
    inside_the_models: bool,
    steps: Vec<&'static str>,
    handedness_weight: f32,
}

#[derive(Serialize)]
struct Shape {
    features: usize,
    axes: usize,
    /// Number of examples of each gesture, by label.
    examples: Vec<usize>,
}

#[derive(Serialize)]
struct Thresholds {
    accept_score: f32,
    steepness: f32,
    /// Squared distance on the axes from the nearest example at which a gesture's score is 0.5, by label.
    reach: Vec<f32>,
}

#[derive(Serialize)]
struct File {
    bytes: usize,
    sha256: String,
}

/// `labels.json`: names by position, as a list.
pub(super) fn labels(bundle: &Bundle) -> Vec<u8> {
    json(&bundle.labels())
}

/// `manifest.json`.
pub(super) fn manifest(bundle: &Bundle, files: &[ExportFile]) -> Vec<u8> {
    let files = files
        .iter()
        .map(|file| (file.name, File { bytes: file.bytes.len(), sha256: sha256_hex(&file.bytes) }));
    json(&Manifest {
        format: FORMAT,
        kind: "gesture",
        id: bundle.id(),
        labels: bundle.labels(),
        layout: bundle.layout(),
        input: Input {
            shape: [1, FRAME_VALUES, 1],
            values: "21 landmarks of x, y, z, then the handedness: 0 left, 1 right, -1 unknown",
            coordinates: bundle.layout().description(),
        },
        legacy: Legacy {
            input_scale: INPUT_SCALE,
            input_zero_point: INPUT_ZERO_POINT,
            output_scale: OUTPUT_SCALE,
            output_zero_point: 0,
            note: match bundle.layout() {
                Layout::World => "bytes are round(value / input_scale) + input_zero_point, clamped to 0..255",
                Layout::Image => {
                    "centre the hand and scale it to some 0.1 before quantising: the model does not mind, and image \
                     coordinates do not fit into the bytes' range"
                }
            },
        },
        normalisation: Normalisation {
            inside_the_models: true,
            steps: steps(bundle.model.axes.flat),
            handedness_weight: HANDEDNESS_WEIGHT,
        },
        model: Shape {
            features: UPRIGHT,
            axes: AXES,
            examples: bundle.model.gestures.iter().map(|known| known.examples.len()).collect(),
        },
        thresholds: Thresholds {
            accept_score: ACCEPT_SCORE,
            steepness: STEEPNESS,
            reach: bundle.model.gestures.iter().map(|known| known.reach).collect(),
        },
        files: files.collect(),
        metrics: &bundle.report,
        provenance: &bundle.provenance,
    })
}

/// The processing steps of a frame, in this order; `flat` if depth is ignored.
fn steps(flat: bool) -> Vec<&'static str> {
    let mut steps = vec![
        "centre on the wrist",
        "divide by the root mean square distance from the wrist",
        "mirror to one hand, by the bend of the fingers and, where that is slight, the handedness, and of a flat hand without one the side of the thumb",
        "turn in the picture so that the palm points up",
    ];
    if flat {
        steps.insert(1, "set depth to 0");
        steps.extend(["append distances between landmarks", "append the directions of the bones"]);
    } else {
        steps.extend([
            "append coordinates along the axes of the palm, in three dimensions",
            "append distances between landmarks",
            "append the directions of the bones along the same axes",
            "append those axes",
        ]);
    }
    steps
}

/// Serialises plain structures, which cannot fail.
fn json<T: Serialize>(value: &T) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(value).unwrap_or_default();
    text.push(b'\n');
    text
}
