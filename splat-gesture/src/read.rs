//! Reads landmarks from CSV with a label column, or from JSON.
//!
//! | form | what |
//! | --- | --- |
//! | CSV | a header line, then `label[,frame],` and 63 or 64 numbers per line; `frame` is a column of that name |
//! | JSON | `{"gesture": name, "landmarks": [[64 numbers], ...]}` as clients send it, or a list of those |
//!
//! 63 numbers are 21 landmarks without handedness, which is then unknown. Frames stay in the order of the file.

use serde::Deserialize;

use crate::error::{GestureError, Result};
use crate::frame::{Frame, Layout};
use crate::limits;

/// Maximum size of a text, bytes.
pub const MAX_TEXT_BYTES: usize = 64 << 20;
/// Maximum number of frames of a text, over all gestures.
pub const MAX_TEXT_FRAMES: usize = limits::MAX_FRAMES * limits::MAX_GESTURES;

/// Frames under one label, in the order of the file; neither their number nor the label is checked yet.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelledFrames {
    /// The label as in the file.
    pub label: String,
    /// The frames.
    pub frames: Vec<Frame>,
}

/// Unchecked rows of 64 numbers under one label, in the order of the file: the input of [`crate::Recording::new`].
#[derive(Clone, Debug, PartialEq)]
pub struct LabelledRows {
    /// The label as in the file.
    pub label: String,
    /// The rows; for rows of 63 numbers, unknown handedness is appended.
    pub rows: Vec<Vec<f32>>,
}

/// Reads either format, as [`read_rows`] does, and parses the frames.
///
/// # Errors
/// [`GestureError::Unreadable`] with the line, or an error of [`Frame::parse`] with the frame's index among those of its label.
pub fn read_landmarks(text: &str, layout: Layout) -> Result<Vec<LabelledFrames>> {
    let frames = |rows: Vec<Vec<f32>>| -> Result<Vec<Frame>> {
        rows.iter().enumerate().map(|(index, values)| Frame::parse(values, layout, index)).collect()
    };
    read_rows(text)?
        .into_iter()
        .map(|LabelledRows { label, rows }| Ok(LabelledFrames { label, frames: frames(rows)? }))
        .collect()
}

/// Reads either format; a text that begins with `{` or `[` is JSON. Labels are in the order of their first frame.
///
/// # Errors
/// [`GestureError::Unreadable`] with the line.
pub fn read_rows(text: &str) -> Result<Vec<LabelledRows>> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(unreadable(format!("it is longer than {MAX_TEXT_BYTES} bytes"), 1));
    }
    // Byte order mark, which spreadsheets write.
    let text = text.trim_start_matches('\u{feff}');
    if text.trim_start().starts_with(['{', '[']) { read_json(text) } else { read_csv(text) }
}

fn unreadable(what: impl Into<String>, line: usize) -> GestureError {
    GestureError::Unreadable { what: what.into(), line }
}

/// Appends 63 or 64 numbers to the rows of their label.
fn append(groups: &mut Vec<LabelledRows>, label: &str, mut values: Vec<f32>, line: usize) -> Result<()> {
    if values.len() == limits::FRAME_VALUES - 1 {
        values.push(-1.0);
    }
    if groups.iter().map(|group| group.rows.len()).sum::<usize>() >= MAX_TEXT_FRAMES {
        return Err(unreadable(format!("it has more than {MAX_TEXT_FRAMES} frames"), line));
    }
    if let Some(group) = groups.iter_mut().find(|group| group.label == label) {
        group.rows.push(values);
        return Ok(());
    }
    if groups.len() >= MAX_LABELS {
        return Err(unreadable(format!("it has more than {MAX_LABELS} labels"), line));
    }
    groups.push(LabelledRows { label: label.to_owned(), rows: vec![values] });
    Ok(())
}

/// Maximum number of labels of a text: more than a model can have, since a file may contain gestures to test as unknown.
const MAX_LABELS: usize = 4 * limits::MAX_GESTURES;

fn read_csv(text: &str) -> Result<Vec<LabelledRows>> {
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let Some((_, header)) = lines.next() else { return Err(unreadable("it is empty", 1)) };
    let columns: Vec<&str> = header.split(',').map(|name| name.trim().trim_matches('"')).collect();
    if columns.first().is_none_or(|name| !name.eq_ignore_ascii_case("label")) {
        return Err(unreadable("the first line must name the columns, `label` first", 1));
    }
    let skipped = if columns.get(1).is_some_and(|name| name.eq_ignore_ascii_case("frame")) { 2 } else { 1 };
    let mut groups = Vec::new();
    for (line, row) in lines {
        let line = line + 1;
        let mut cells = row.split(',').map(|cell| cell.trim().trim_matches('"'));
        let label = cells.next().unwrap_or_default();
        let mut values = Vec::with_capacity(limits::FRAME_VALUES);
        for cell in cells.skip(skipped - 1) {
            if values.len() >= limits::FRAME_VALUES {
                return Err(unreadable(
                    format!("a row has more than {} numbers", limits::FRAME_VALUES),
                    line,
                ));
            }
            match cell.parse::<f32>() {
                Ok(value) => values.push(value),
                Err(_) => return Err(unreadable("a cell is no number", line)),
            }
        }
        append(&mut groups, label, values, line)?;
    }
    if groups.is_empty() {
        return Err(unreadable("it has a header and no rows", 1));
    }
    Ok(groups)
}

/// The fields that are read from a client's JSON; others are ignored.
#[derive(Deserialize)]
struct Take {
    gesture: String,
    landmarks: Vec<Vec<f32>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Takes {
    Many(Vec<Take>),
    One(Take),
}

fn read_json(text: &str) -> Result<Vec<LabelledRows>> {
    let takes = match serde_json::from_str(text) {
        Ok(Takes::Many(takes)) => takes,
        Ok(Takes::One(take)) => vec![take],
        Err(error) => {
            let what = "it is no JSON of the form {\"gesture\": name, \"landmarks\": [[64 numbers], ...]}";
            return Err(unreadable(what, error.line().max(1)));
        }
    };
    let mut groups = Vec::new();
    for take in takes {
        for values in take.landmarks {
            append(&mut groups, &take.gesture, values, 1)?;
        }
    }
    if groups.is_empty() {
        return Err(unreadable("it holds no frames", 1));
    }
    Ok(groups)
}
