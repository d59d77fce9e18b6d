//! Bundles as bytes: one file that holds a model and all it takes to grow it.
//!
//! ```text
//! "SPLTGEST"  format u32  header length u32  header (JSON)  values f32 ...  SHA-256 of all before
//! ```
//!
//! Little endian. The header names layout, gestures and how many frames each part of them has; the values follow in the
//! order of [`write_values`]. Reading trusts nothing: lengths are checked before anything is reserved, every frame
//! passes [`Frame::parse`], and every weight must be a number.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::bundle::{Bundle, Provenance};
use crate::dataset::{Dataset, Gesture};
use crate::error::{GestureError, Result};
use crate::features::{FEATURES, SHAPE};
use crate::frame::{Frame, Layout, check_stored_name};
use crate::limits;
use crate::model::Model;
use crate::network::{Dense, EMBEDDING, HIDDEN, Network};
use crate::reject::{AXES, Gate, MOTIONS, Place};
use crate::report::Report;
use crate::rounded::is_rounded;

const MAGIC: &[u8; 8] = b"SPLTGEST";
/// Format of the files written and read.
const FORMAT: u32 = 3;
const PREFIX: usize = MAGIC.len() + 8;
const DIGEST: usize = 32;

#[derive(Serialize, Deserialize)]
struct Header {
    layout: Layout,
    gestures: Vec<GestureHeader>,
    provenance: Provenance,
    report: Report,
}

#[derive(Serialize, Deserialize)]
struct GestureHeader {
    name: String,
    train: usize,
    validation: usize,
    held_out: usize,
}

/// SHA-256 in hexadecimal.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Bundle {
    /// SHA-256 of [`Bundle::to_bytes`], in hexadecimal: what children name as their parent.
    #[must_use]
    pub fn id(&self) -> String {
        sha256_hex(&self.to_bytes())
    }

    /// The whole bundle. The same bundle gives the same bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let gestures = self.dataset.gestures.iter().map(|gesture| GestureHeader {
            name: gesture.name.clone(),
            train: gesture.train.len(),
            validation: gesture.validation.len(),
            held_out: gesture.held_out.len(),
        });
        let header = Header {
            layout: self.dataset.layout,
            gestures: gestures.collect(),
            provenance: self.provenance.clone(),
            report: self.report.clone(),
        };
        // Strings, numbers and lists of them: there is nothing in it that JSON cannot say.
        let header = serde_json::to_vec(&header).unwrap_or_default();
        let mut bytes = Vec::new();
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&FORMAT.to_le_bytes());
        bytes.extend_from_slice(&(header.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&header);
        write_values(self, |value| bytes.extend_from_slice(&value.to_le_bytes()));
        let digest = Sha256::digest(&bytes);
        bytes.extend_from_slice(&digest);
        bytes
    }

    /// Reads a bundle back.
    ///
    /// # Errors
    /// [`GestureError::Malformed`] or [`GestureError::TooNew`], or what is wrong with a name or frame in it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let malformed = |what, offset| GestureError::Malformed { what, offset };
        if bytes.len() > limits::MAX_BUNDLE_BYTES {
            return Err(malformed("it is longer than any bundle", limits::MAX_BUNDLE_BYTES));
        }
        let Some((prefix, _)) = bytes.split_first_chunk::<PREFIX>() else {
            return Err(malformed("it ends", bytes.len()));
        };
        if &prefix[..8] != MAGIC {
            return Err(malformed("it begins otherwise", 0));
        }
        let word =
            |at: usize| u32::from_le_bytes([prefix[at], prefix[at + 1], prefix[at + 2], prefix[at + 3]]);
        let (format, header_length) = (word(8), word(12) as usize);
        if format > FORMAT {
            return Err(GestureError::TooNew { found: format, known: FORMAT });
        }
        if format < FORMAT {
            return Err(malformed("its format is from before the first release", 8));
        }
        let Some((body, digest)) = bytes.split_last_chunk::<DIGEST>() else {
            return Err(malformed("it ends", bytes.len()));
        };
        let header_end = PREFIX.saturating_add(header_length);
        let Some(header) = body.get(PREFIX..header_end) else {
            return Err(malformed("its header is longer than the file", 12));
        };
        if Sha256::digest(body)[..] != digest[..] {
            return Err(malformed("the checksum does not fit", bytes.len() - DIGEST));
        }
        let header: Header =
            serde_json::from_slice(header).map_err(|_| malformed("its header is not understood", PREFIX))?;
        check_header(&header, &malformed)?;
        let values = body.get(header_end..).unwrap_or(&[]);
        let mut reader = Reader { values, offset: header_end };
        let bundle = reader.bundle(header)?;
        if !reader.values.is_empty() {
            return Err(malformed("bytes are left over", reader.offset));
        }
        Ok(bundle)
    }
}

fn check_header(header: &Header, malformed: &dyn Fn(&'static str, usize) -> GestureError) -> Result<()> {
    let count = header.gestures.len();
    if !(limits::MIN_GESTURES..=limits::MAX_GESTURES).contains(&count) {
        return Err(malformed("it has an impossible number of gestures", PREFIX));
    }
    for (index, gesture) in header.gestures.iter().enumerate() {
        check_stored_name(&gesture.name)?;
        if header.gestures.iter().take(index).any(|earlier| earlier.name == gesture.name) {
            return Err(GestureError::NameTaken { name: gesture.name.clone() });
        }
        for frames in [gesture.train, gesture.validation, gesture.held_out] {
            if !(1..=limits::MAX_STORED_FRAMES).contains(&frames) {
                return Err(malformed("a gesture has an impossible number of frames", PREFIX));
            }
        }
    }
    let confusion = &header.report.confusion;
    let names = header.gestures.iter().map(|gesture| &gesture.name);
    if !confusion.labels.iter().eq(names)
        || confusion.counts.len() != count
        || confusion.counts.iter().any(|row| row.len() != count + 1)
    {
        return Err(malformed("its report is of another model", PREFIX));
    }
    if header.provenance.ancestors.len() > limits::MAX_ANCESTORS {
        return Err(malformed("it has too many ancestors", PREFIX));
    }
    Ok(())
}

/// All numbers of a bundle: each gesture's frames by part, the network's layers, the model's, the gate.
fn write_values(bundle: &Bundle, mut write: impl FnMut(f32)) {
    for gesture in &bundle.dataset.gestures {
        gesture.rows().flat_map(Frame::values).for_each(&mut write);
    }
    let model = &bundle.model;
    let layers = bundle.network.layers().into_iter().chain([&model.hidden, &model.embed, &model.head]);
    for layer in layers {
        layer.weights.iter().chain(&layer.bias).copied().for_each(&mut write);
    }
    let gate = &model.gate;
    gate.axes.weights.iter().chain(&gate.axes.bias).chain(&gate.units).copied().for_each(&mut write);
    gate.centres.iter().flatten().copied().for_each(&mut write);
    gate.directions.iter().flatten().flatten().copied().for_each(&mut write);
    gate.rooms.iter().flatten().chain(&gate.nearness).copied().for_each(&mut write);
}

struct Reader<'a> {
    values: &'a [u8],
    offset: usize,
}

impl Reader<'_> {
    fn bundle(&mut self, header: Header) -> Result<Bundle> {
        let count = header.gestures.len();
        let mut gestures = Vec::with_capacity(count);
        for gesture in &header.gestures {
            gestures.push(Gesture {
                name: gesture.name.clone(),
                train: self.frames(gesture.train, header.layout)?,
                validation: self.frames(gesture.validation, header.layout)?,
                held_out: self.frames(gesture.held_out, header.layout)?,
            });
        }
        let network = Network {
            hidden: self.dense(FEATURES, HIDDEN)?,
            embed: self.dense(HIDDEN, EMBEDDING)?,
            head: self.dense(EMBEDDING, count + 1)?,
            decoder: self.dense(EMBEDDING, FEATURES)?,
        };
        let hidden = self.rounded(FEATURES, HIDDEN)?;
        let embed = self.dense(HIDDEN, EMBEDDING)?;
        let head = self.dense(EMBEDDING, count + 1)?;
        let gate = self.gate(count)?;
        Ok(Bundle {
            dataset: Dataset { layout: header.layout, gestures },
            network,
            model: Model { layout: header.layout, hidden, embed, head, gate },
            report: header.report,
            provenance: header.provenance,
        })
    }

    fn numbers(&mut self, count: usize) -> Result<Vec<f32>> {
        let Some((mine, rest)) = self.values.split_at_checked(count * 4) else {
            return Err(GestureError::Malformed { what: "it ends", offset: self.offset + self.values.len() });
        };
        let numbers: Vec<f32> = mine
            .chunks_exact(4)
            .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
            .collect();
        // Far from what training gives, and far from what overflows.
        if let Some(position) = numbers.iter().position(|value| !(value.abs() < 1e6)) {
            return Err(GestureError::Malformed {
                what: "a value is no weight",
                offset: self.offset + position * 4,
            });
        }
        self.values = rest;
        self.offset += count * 4;
        Ok(numbers)
    }

    fn gate(&mut self, count: usize) -> Result<Gate> {
        let axes = self.rounded(SHAPE, AXES)?;
        let units = self.place()?;
        let centres = (0..count).map(|_| self.place()).collect::<Result<_>>()?;
        let at = self.offset;
        let mut directions = vec![[[0.0; AXES]; MOTIONS]; count];
        for direction in directions.iter_mut().flatten() {
            *direction = self.place()?;
        }
        if !directions.iter().flatten().all(|direction| is_rounded(direction)) {
            return Err(GestureError::Malformed { what: "a direction is on no step", offset: at });
        }
        let rooms = self.numbers(count * MOTIONS)?;
        let rooms = rooms.chunks_exact(MOTIONS).map(|own| std::array::from_fn(|k| own[k])).collect();
        let at = self.offset;
        let nearness = self.numbers(count)?;
        if nearness.iter().any(|nearness| !(*nearness > 0.0)) {
            return Err(GestureError::Malformed { what: "a gesture reaches everywhere", offset: at });
        }
        Ok(Gate { axes, units, centres, nearness, directions, rooms })
    }

    fn place(&mut self) -> Result<Place> {
        let mut place = [0.0; AXES];
        place.copy_from_slice(&self.numbers(AXES)?);
        Ok(place)
    }

    fn frames(&mut self, count: usize, layout: Layout) -> Result<Vec<Frame>> {
        let values = self.numbers(count * limits::FRAME_VALUES)?;
        values
            .chunks_exact(limits::FRAME_VALUES)
            .enumerate()
            .map(|(i, values)| Frame::parse(values, layout, i))
            .collect()
    }

    /// A layer whose weights are exported as a byte each.
    fn rounded(&mut self, inputs: usize, outputs: usize) -> Result<Dense> {
        let at = self.offset;
        let layer = self.dense(inputs, outputs)?;
        if layer.is_rounded() {
            Ok(layer)
        } else {
            Err(GestureError::Malformed { what: "a weight is on no step", offset: at })
        }
    }

    fn dense(&mut self, inputs: usize, outputs: usize) -> Result<Dense> {
        Ok(Dense { inputs, outputs, weights: self.numbers(inputs * outputs)?, bias: self.numbers(outputs)? })
    }
}
