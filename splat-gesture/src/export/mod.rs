//! Export of a bundle for phones, browsers and servers.
//!
//! | file | what |
//! | --- | --- |
//! | `legacy.tflite` | bytes in, bytes out, as stock clients read it |
//! | `model.tflite` | the same in floats |
//! | `model.onnx` | the same for ONNX Runtime, in browsers too |
//! | `labels.json` | names by position |
//! | `manifest.json` | layout, normalisation, thresholds, SHA-256 of each file, figures, descent |
//!
//! All three models take the 64 numbers as clients send them, `[1, 64, 1]`, and return `[1, gestures]` scores; normalisation and
//! rejection of unknown hands are part of the models.

mod computation;
mod graph;
mod manifest;
mod onnx;
mod tflite;

use std::path::Path;

use crate::bundle::Bundle;
use crate::error::{GestureError, Result};
use tflite::Numbers;

/// A file of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportFile {
    /// Its name.
    pub name: &'static str,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// Name of the quantised model for stock clients.
pub const LEGACY_TFLITE: &str = "legacy.tflite";
/// Name of the float TFLite model.
pub const MODEL_TFLITE: &str = "model.tflite";
/// Name of the ONNX model.
pub const MODEL_ONNX: &str = "model.onnx";
/// Name of the list of labels.
pub const LABELS_JSON: &str = "labels.json";
/// Name of the manifest.
pub const MANIFEST_JSON: &str = "manifest.json";

impl Bundle {
    /// The quantised model: uint8 `[1, 64, 1]` in (scale 0.001, zero point 128), uint8 `[1, gestures]` out (1/256, 0).
    #[must_use]
    pub fn legacy_tflite(&self) -> Vec<u8> {
        tflite::write(&computation::graph(&self.model), Numbers::Legacy)
    }

    /// The model in floats.
    #[must_use]
    pub fn model_tflite(&self) -> Vec<u8> {
        tflite::write(&computation::graph(&self.model), Numbers::Float)
    }

    /// The model as ONNX, operator set 13.
    #[must_use]
    pub fn model_onnx(&self) -> Vec<u8> {
        onnx::write(&computation::graph(&self.model))
    }

    /// All files of an export, the manifest last. The same bundle gives the same bytes.
    #[must_use]
    pub fn export(&self) -> Vec<ExportFile> {
        let mut files = vec![
            ExportFile { name: LEGACY_TFLITE, bytes: self.legacy_tflite() },
            ExportFile { name: MODEL_TFLITE, bytes: self.model_tflite() },
            ExportFile { name: MODEL_ONNX, bytes: self.model_onnx() },
            ExportFile { name: LABELS_JSON, bytes: manifest::labels(self) },
        ];
        let manifest = manifest::manifest(self, &files);
        files.push(ExportFile { name: MANIFEST_JSON, bytes: manifest });
        files
    }

    /// Writes [`Bundle::export`] into a folder, which is created if missing.
    ///
    /// # Errors
    /// [`GestureError::Write`].
    pub fn export_to(&self, folder: &Path) -> Result<()> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| GestureError::Write { path, source }
        };
        std::fs::create_dir_all(folder).map_err(failed(folder))?;
        for file in self.export() {
            let path = folder.join(file.name);
            std::fs::write(&path, &file.bytes).map_err(failed(&path))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::axes::{AXES, Axes};
    use crate::dense::Dense;
    use crate::features::UPRIGHT;
    use crate::frame::Layout;
    use crate::known::{BLOCK, Hand, Known, MADE_UP_BLOCKS};
    use crate::limits::MAX_GESTURES;
    use crate::model::Model;

    #[test]
    fn the_largest_model_is_within_40_kb() {
        let layer = Dense {
            inputs: UPRIGHT,
            outputs: AXES,
            weights: vec![0.5; UPRIGHT * AXES],
            bias: vec![0.1; AXES],
        };
        let hand = Hand { place: [1.0; AXES], palm: [0.0, -1.0] };
        let known = |gesture: usize| Known {
            examples: vec![hand; if gesture < 3 { MADE_UP_BLOCKS * BLOCK } else { BLOCK }],
            reach: 30.0,
            turn: 1.0,
        };
        let gestures = (0..MAX_GESTURES).map(known).collect();
        let graph = computation::graph(&Model {
            layout: Layout::World,
            axes: Axes { layer, units: [0.2; AXES], flat: false },
            gestures,
        });
        for numbers in [Numbers::Legacy, Numbers::Float] {
            let bytes = tflite::write(&graph, numbers);
            assert!(bytes.len() <= 40_000, "{numbers:?}: {} bytes", bytes.len());
            // Identifier where readers look for it, and a whole number of alignments.
            assert_eq!(&bytes[4..8], b"TFL3");
            assert_eq!(bytes.len() % 16, 0);
        }
        assert!(onnx::write(&graph).len() <= 40_000);
    }
}
