//! The text form: one record per line (two for an image), `#` starts a comment line.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;

use splat_core::{Lens, LensModel, text_file};

use super::binary::pose;
use crate::error::{ColmapError, Place, Result};
use crate::model::{Point2d, Point3d, PosedImage, TrackElement};

pub(super) fn cameras(path: &Path, text: &str) -> Result<BTreeMap<u32, Lens>> {
    let mut cameras = BTreeMap::new();
    let mut lines = Lines::new(path, text);
    while let Some(mut line) = lines.record() {
        let id = line.integer("a camera number")?;
        let name = line.word("a camera model")?;
        let Some(model) = LensModel::from_name(&name.to_ascii_uppercase()) else {
            return Err(line.malformed(format!("camera {id} has the unknown model `{name}`")));
        };
        let (width, height) = (line.integer("a width")?, line.integer("a height")?);
        let params = line.rest::<f64>("a camera's parameter")?;
        let lens = Lens { model, width, height, params };
        lens.validate().map_err(|error| line.malformed(format!("in camera {id}, {error}")))?;
        if cameras.insert(id, lens).is_some() {
            return Err(line.malformed(format!("there are two cameras {id}")));
        }
    }
    Ok(cameras)
}

pub(super) fn images(path: &Path, text: &str) -> Result<BTreeMap<u32, PosedImage>> {
    let mut images = BTreeMap::new();
    let mut lines = Lines::new(path, text);
    while let Some(mut line) = lines.record() {
        let id: u32 = line.integer("an image number")?;
        let rotation = line.numbers("a quaternion")?;
        let translation = line.numbers("a translation")?;
        let Some(cam_from_world) = pose(rotation, translation) else {
            return Err(line.malformed(format!("image {id} has an impossible pose")));
        };
        let camera_id = line.integer("a camera number")?;
        // A name may hold spaces: it is all that is left.
        let name = line.text.trim().to_owned();
        if name.is_empty() {
            return Err(line.malformed(format!("image {id} has no name")));
        }
        // Some programs leave the line out where there are no features, or at the end of the file.
        let mut features = lines.features().unwrap_or(Line { text: "", ..line });
        let mut points2d = Vec::new();
        while !features.text.trim_start().is_empty() {
            let xy = features.numbers("a feature's position")?;
            // "No point" is -1 here and was written as 2^64 - 1 by some versions.
            let point = features.word("a point number")?;
            let point3d_id = match point {
                "-1" | "18446744073709551615" => None,
                number => Some(features.whole(number, "a point number")?),
            };
            points2d.push(Point2d { xy, point3d_id });
        }
        if images.insert(id, PosedImage { name, camera_id, cam_from_world, points2d }).is_some() {
            return Err(line.malformed(format!("there are two images {id}")));
        }
    }
    Ok(images)
}

pub(super) fn points(path: &Path, text: &str) -> Result<BTreeMap<u64, Point3d>> {
    let mut points = BTreeMap::new();
    let mut lines = Lines::new(path, text);
    while let Some(mut line) = lines.record() {
        let id: u64 = line.integer("a point number")?;
        let position = line.numbers("a position")?;
        let mut rgb = [0_u8; 3];
        for channel in &mut rgb {
            *channel = line.integer("a colour")?;
        }
        let error = line.parse("a reprojection error")?;
        let ids = line.rest_whole::<u32>("track elements")?;
        let (pairs, odd) = ids.as_chunks::<2>();
        if !odd.is_empty() {
            return Err(line.malformed(format!("point {id} has a track of odd length")));
        }
        let track =
            pairs.iter().map(|&[image_id, point2d_index]| TrackElement { image_id, point2d_index }).collect();
        if points.insert(id, Point3d { position, rgb, error, track }).is_some() {
            return Err(line.malformed(format!("there are two points {id}")));
        }
    }
    Ok(points)
}

/// The lines of a file, numbered from 1.
struct Lines<'a> {
    path: &'a Path,
    lines: std::iter::Enumerate<std::str::Split<'a, char>>,
}

impl<'a> Lines<'a> {
    fn new(path: &'a Path, text: &'a str) -> Self {
        Self { path, lines: text.split('\n').enumerate() }
    }

    /// The next line, whatever it holds.
    fn next(&mut self) -> Option<Line<'a>> {
        let (index, text) = self.lines.next()?;
        Some(Line { path: self.path, number: index as u64 + 1, text })
    }

    /// The next line, if it holds features: nothing, or numbers by three. Another image's line, which ends in a name, is left.
    fn features(&mut self) -> Option<Line<'a>> {
        let (_, text) = self.lines.clone().next()?;
        let is_number = |word: &str| word.parse::<f64>().is_ok();
        let mut words = text.split_whitespace();
        let is_image = words.by_ref().take(9).filter(|word| is_number(word)).count() == 9
            && words.next().is_some_and(|w| !is_number(w));
        if is_image { None } else { self.next() }
    }

    /// The next line that is neither blank nor a comment.
    fn record(&mut self) -> Option<Line<'a>> {
        loop {
            let line = self.next()?;
            let text = line.text.trim();
            if !text.is_empty() && !text.starts_with('#') {
                return Some(line);
            }
        }
    }
}

/// What is left of a line.
#[derive(Clone, Copy)]
struct Line<'a> {
    path: &'a Path,
    number: u64,
    text: &'a str,
}

impl<'a> Line<'a> {
    fn malformed(&self, what: String) -> ColmapError {
        ColmapError::Malformed { path: self.path.to_owned(), place: Place::Line(self.number), what }
    }

    fn word(&mut self, what: &str) -> Result<&'a str> {
        let text = self.text.trim_start();
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        if word.is_empty() {
            return Err(self.malformed(format!("{what} is missing")));
        }
        self.text = rest;
        Ok(word)
    }

    fn number<T: FromStr>(&self, word: &str, what: &str) -> Result<T> {
        word.parse().map_err(|_| {
            let shown: String = word.chars().take(40).collect();
            self.malformed(format!("`{shown}` is not {what}"))
        })
    }

    fn parse<T: FromStr>(&mut self, what: &str) -> Result<T> {
        let word = self.word(what)?;
        self.number(word, what)
    }

    /// An integer, which some programs write as `200.0`.
    fn integer<T: TryFrom<i128>>(&mut self, what: &str) -> Result<T> {
        let word = self.word(what)?;
        self.whole(word, what)
    }

    fn whole<T: TryFrom<i128>>(&self, word: &str, what: &str) -> Result<T> {
        text_file::whole(word).and_then(|number| number.try_into().ok()).ok_or_else(|| {
            let shown: String = word.chars().take(40).collect();
            self.malformed(format!("`{shown}` is not {what}"))
        })
    }

    fn numbers<const N: usize>(&mut self, what: &str) -> Result<[f64; N]> {
        let mut numbers = [0.0; N];
        for number in &mut numbers {
            *number = self.parse(what)?;
        }
        Ok(numbers)
    }

    fn rest_whole<T: TryFrom<i128>>(&mut self, what: &str) -> Result<Vec<T>> {
        let words = std::mem::take(&mut self.text).split_whitespace();
        words.map(|word| self.whole(word, what)).collect()
    }

    fn rest<T: FromStr>(&mut self, what: &str) -> Result<Vec<T>> {
        let words = std::mem::take(&mut self.text).split_whitespace();
        words.map(|word| self.number(word, what)).collect()
    }
}
