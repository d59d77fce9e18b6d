//! The file format of bundles: one file with a model and everything needed to extend it.
//!
//! ```text
//! "SPLTGEST"  format u32  header length u32  header (JSON)  values f32 ...  SHA-256 of all before
//! ```
//!
//! Little endian. The header lists the layout, the gestures and the number of frames in each of their parts; the values follow in
//! the order of [`write_values`]. Input is untrusted: lengths are checked before memory is allocated, every frame passes
//! [`Frame::parse`], and every weight must be finite.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::axes::{AXES, Axes, Place};
use crate::base::{BASE_LABELS, base_v1};
use crate::bundle::{Bundle, Provenance};
use crate::dataset::{Dataset, Gesture};
use crate::dense::Dense;
use crate::error::{GestureError, Result};
use crate::features::UPRIGHT;
use crate::frame::{Frame, Layout, check_stored_name};
use crate::known::{BLOCK, Hand, Known, MADE_UP_BLOCKS};
use crate::limits;
use crate::model::Model;
use crate::report::Report;

const MAGIC: &[u8; 8] = b"SPLTGEST";
/// Current format version, for reading and writing.
const FORMAT: u32 = 7;
/// The oldest readable format. Older formats contained a network or other axes: their frames are read, and their gestures are
/// trained again.
const FIRST_FORMAT: u32 = 3;
/// The first format with examples.
const FIRST_WITH_EXAMPLES: u32 = 5;
/// The first formats with the current axes, of landmarks with and without depth.
const FIRST_WITH_AXES: u32 = 7;
const FIRST_WITH_FLAT_AXES: u32 = 6;
const PREFIX: usize = MAGIC.len() + 8;
const DIGEST: usize = 32;

#[derive(Serialize, Deserialize)]
struct Header {
    layout: Layout,
    /// Whether these are the axes of landmarks without depth.
    #[serde(default)]
    flat: bool,
    gestures: Vec<GestureHeader>,
    provenance: Provenance,
    report: Report,
}

#[derive(Serialize, Deserialize)]
struct GestureHeader {
    name: String,
    train: usize,
    /// Only in models with a network: validation frames for early stopping.
    #[serde(default, skip_serializing_if = "is_zero")]
    validation: usize,
    held_out: usize,
    #[serde(default)]
    examples: usize,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// SHA-256 in hexadecimal.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Bundle {
    /// SHA-256 of [`Bundle::to_bytes`], in hexadecimal, by which children refer to their parent.
    #[must_use]
    pub fn id(&self) -> String {
        sha256_hex(&self.to_bytes())
    }

    /// Serialises the bundle. The same bundle gives the same bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let gestures =
            self.dataset.gestures.iter().zip(&self.model.gestures).map(|(gesture, known)| GestureHeader {
                name: gesture.name.clone(),
                train: gesture.train.len(),
                validation: 0,
                held_out: gesture.held_out.len(),
                examples: known.examples.len(),
            });
        let header = Header {
            layout: self.dataset.layout,
            flat: self.model.axes.flat,
            gestures: gestures.collect(),
            provenance: self.provenance.clone(),
            report: self.report.clone(),
        };
        // Strings, numbers and lists of them, whose serialisation cannot fail.
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

    /// Parses a bundle.
    ///
    /// # Errors
    /// [`GestureError::Malformed`], [`GestureError::TooNew`], or an error about a name or frame in it.
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
        if format < FIRST_FORMAT {
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
        check_header(&header, format, &malformed)?;
        let values = body.get(header_end..).unwrap_or(&[]);
        let mut reader = Reader { values, offset: header_end };
        if format < FIRST_WITH_EXAMPLES {
            let dataset = reader.dataset(&header)?;
            return learned_again(dataset, header.provenance);
        }
        let bundle = reader.bundle(header)?;
        if !reader.values.is_empty() {
            return Err(malformed("bytes are left over", reader.offset));
        }
        let first = if bundle.dataset.is_flat() { FIRST_WITH_FLAT_AXES } else { FIRST_WITH_AXES };
        if format < first {
            return learned_again(bundle.dataset, bundle.provenance);
        }
        Ok(bundle)
    }
}

fn check_header(
    header: &Header,
    format: u32,
    malformed: &dyn Fn(&'static str, usize) -> GestureError,
) -> Result<()> {
    let count = header.gestures.len();
    if !(limits::MIN_GESTURES..=limits::MAX_GESTURES).contains(&count) {
        return Err(malformed("it has an impossible number of gestures", PREFIX));
    }
    for (index, gesture) in header.gestures.iter().enumerate() {
        check_stored_name(&gesture.name)?;
        if header.gestures.iter().take(index).any(|earlier| earlier.name == gesture.name) {
            return Err(GestureError::NameTaken { name: gesture.name.clone() });
        }
        let frames = |count| (1..=limits::MAX_STORED_FRAMES).contains(&count);
        if !frames(gesture.train)
            || !frames(gesture.held_out)
            || gesture.validation > limits::MAX_STORED_FRAMES
        {
            return Err(malformed("a gesture has an impossible number of frames", PREFIX));
        }
        if format >= FIRST_WITH_EXAMPLES && !(1..=BLOCK * MADE_UP_BLOCKS).contains(&gesture.examples) {
            return Err(malformed("a gesture has an impossible number of examples", PREFIX));
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

/// All numbers of a bundle: each gesture's frames by part, the axes, each gesture's examples, reach and weight of the palm's
/// direction.
fn write_values(bundle: &Bundle, mut write: impl FnMut(f32)) {
    for gesture in &bundle.dataset.gestures {
        gesture.rows().flat_map(Frame::values).for_each(&mut write);
    }
    let Axes { layer, units, .. } = &bundle.model.axes;
    layer.weights.iter().chain(&layer.bias).chain(units).copied().for_each(&mut write);
    for known in &bundle.model.gestures {
        known.examples.iter().flat_map(|hand| hand.place.into_iter().chain(hand.palm)).for_each(&mut write);
        write(known.reach);
        write(known.turn);
    }
}

/// A model of an earlier format: its gestures are trained again from the stored frames, and it is evaluated again.
fn learned_again(dataset: Dataset, provenance: Provenance) -> Result<Bundle> {
    let layout = dataset.layout;
    let axes = Axes::of(layout, dataset.is_flat()).clone();
    // A bundle has only some of the base model's hands, whereas the current examples were chosen from all.
    let in_base = |gesture: &Gesture| {
        let label = BASE_LABELS.iter().position(|label| *label == gesture.name);
        label.filter(|_| gesture.is_made_up() && layout == Layout::World)
    };
    let base = if dataset.gestures.iter().any(|gesture| in_base(gesture).is_some()) {
        base_v1(&|_| {}, &|| false)?.model.gestures
    } else {
        Vec::new()
    };
    let known = |gesture: &Gesture| {
        let known = in_base(gesture).and_then(|at| base.get(at)).cloned();
        known.unwrap_or_else(|| Known::of(&axes, gesture))
    };
    let gestures = dataset.gestures.iter().map(known).collect();
    let model = Model { layout, axes, gestures };
    let report = Report::measure(&model, &dataset, provenance.seed);
    Ok(Bundle { dataset, model, report, provenance })
}

struct Reader<'a> {
    values: &'a [u8],
    offset: usize,
}

impl Reader<'_> {
    fn bundle(&mut self, header: Header) -> Result<Bundle> {
        let dataset = self.dataset(&header)?;
        let axes = self.axes(header.flat)?;
        let gestures =
            header.gestures.iter().map(|gesture| self.known(gesture.examples)).collect::<Result<_>>()?;
        Ok(Bundle {
            model: Model { layout: header.layout, axes, gestures },
            dataset,
            report: header.report,
            provenance: header.provenance,
        })
    }

    fn dataset(&mut self, header: &Header) -> Result<Dataset> {
        let mut gestures = Vec::with_capacity(header.gestures.len());
        for gesture in &header.gestures {
            gestures.push(Gesture {
                name: gesture.name.clone(),
                train: self.frames(gesture.train + gesture.validation, header.layout)?,
                held_out: self.frames(gesture.held_out, header.layout)?,
            });
        }
        Ok(Dataset { layout: header.layout, gestures })
    }

    fn numbers(&mut self, count: usize) -> Result<Vec<f32>> {
        let Some((mine, rest)) = self.values.split_at_checked(count * 4) else {
            return Err(GestureError::Malformed { what: "it ends", offset: self.offset + self.values.len() });
        };
        let numbers: Vec<f32> = mine
            .chunks_exact(4)
            .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
            .collect();
        // Beyond any trained value, and far from overflow.
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

    fn axes(&mut self, flat: bool) -> Result<Axes> {
        let at = self.offset;
        let layer = self.dense(UPRIGHT, AXES)?;
        if !layer.is_rounded() {
            return Err(GestureError::Malformed { what: "a weight is on no step", offset: at });
        }
        Ok(Axes { layer, units: self.place()?, flat })
    }

    fn known(&mut self, count: usize) -> Result<Known> {
        let at = self.offset;
        let mut examples = Vec::with_capacity(count);
        for _ in 0..count {
            let place = self.place()?;
            let palm = self.numbers(2)?;
            examples.push(Hand { place, palm: [palm[0], palm[1]] });
        }
        if !examples.iter().all(Hand::is_rounded) {
            return Err(GestureError::Malformed { what: "an example is on no step", offset: at });
        }
        let at = self.offset;
        let (reach, turn) = (self.numbers(1)?[0], self.numbers(1)?[0]);
        if !(reach > 1e-3 && turn >= 0.0) {
            return Err(GestureError::Malformed { what: "a gesture's reach is none", offset: at });
        }
        Ok(Known { examples, reach, turn })
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

    fn dense(&mut self, inputs: usize, outputs: usize) -> Result<Dense> {
        Ok(Dense { inputs, outputs, weights: self.numbers(inputs * outputs)?, bias: self.numbers(outputs)? })
    }
}
