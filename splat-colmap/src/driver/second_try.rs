//! Photos without a pose: which they are and why, and a second try with more features for them only.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use splat_core::events::Stage;
use splat_core::text::duration;
use splat_core::{Event, LeftOut, LeftOutReason, OtherModel, Placement, SecondTry};

use super::job::{GOOD_PLACED_PERCENT, PosingRun};
use super::options::ColmapQuality;
use super::prepare::{self, Photos};
use super::stages;
use crate::error::{ColmapError, Result, write_error};
use crate::matching::{Database, MIN_MATCHES};
use crate::read::{ModelForm, list_models, model_number, read_poses};

/// Photos with fewer features count as nearly featureless.
const FEW_FEATURES: u64 = 100;

/// The second try of photos without a pose.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct SecondTryRecord {
    /// Key of the set of photos.
    photos: String,
    /// The quality at which they got no pose.
    quality: ColmapQuality,
    pub(super) names: BTreeSet<String>,
    /// Its duration in seconds; 0 if it was interrupted.
    #[serde(default)]
    seconds: u64,
}

impl SecondTryRecord {
    pub(super) fn matches(&self, photos: &str, quality: ColmapQuality) -> bool {
        self.photos == photos && self.quality == quality
    }

    pub(super) fn outcome(&self, placement: &Placement) -> SecondTry {
        let left_out: BTreeSet<&str> = placement.left_out.iter().map(|photo| photo.name.as_str()).collect();
        let placed = self.names.iter().filter(|name| !left_out.contains(name.as_str())).count();
        SecondTry { photos: self.names.len() as u64, placed: placed as u64, elapsed_s: self.seconds }
    }
}

/// What the database contains about one photo.
#[derive(Clone, Debug, Default)]
struct PhotoMatches {
    features: u64,
    /// The photos with which it has verified matches.
    partners: Vec<String>,
}

impl PosingRun<'_> {
    /// Which photos have a pose in `model`, the one that is used, and why others do not.
    pub(super) fn placement(&mut self, photos: &Photos, model: &Path) -> Result<Placement> {
        let names_in = |dir: &Path| -> Result<BTreeSet<String>> {
            Ok(read_poses(dir)?.images.into_values().map(|image| image.name).collect())
        };
        let placed = names_in(model)?;
        let mut other_models = Vec::new();
        let mut in_others: BTreeMap<String, u32> = BTreeMap::new();
        for dir in list_models(&self.work.join("sparse")) {
            let number = model_number(&dir);
            // A model that cannot be read is no place to be in, nor is one whose photos are all placed in the one that is used.
            let (Some(number), Ok(names), true) = (number, names_in(&dir), dir != model) else { continue };
            if names.is_subset(&placed) {
                continue;
            }
            other_models.push(OtherModel { model: number, photos: names.len() as u64 });
            for name in names {
                in_others.entry(name).or_insert(number);
            }
        }
        other_models.sort_by_key(|other| (std::cmp::Reverse(other.photos), other.model));
        let all = photos.names();
        let left: Vec<&str> = all.iter().copied().filter(|name| !placed.contains(*name)).collect();
        let seen = if left.is_empty() { Some(BTreeMap::new()) } else { self.matches_by_photo() };
        let reason = |name: &str| {
            if let Some(&model) = in_others.get(name) {
                return LeftOutReason::OtherModel { model };
            }
            let Some(seen) = &seen else { return LeftOutReason::Unknown };
            let PhotoMatches { features, partners } = seen.get(name).cloned().unwrap_or_default();
            let with_placed = partners.iter().filter(|partner| placed.contains(*partner)).count() as u64;
            match partners.len() as u64 {
                _ if with_placed > 0 => LeftOutReason::TooFewPoints { pairs: with_placed },
                0 if features < FEW_FEATURES => LeftOutReason::TooFewFeatures { features },
                0 => LeftOutReason::NoVerifiedPair { features },
                pairs => LeftOutReason::OnlyWithLeftOut { pairs },
            }
        };
        let left_out: Vec<LeftOut> =
            left.into_iter().map(|name| LeftOut { name: name.to_owned(), reason: reason(name) }).collect();
        let placed = (all.len() - left_out.len()) as u64;
        Ok(Placement { photos: all.len() as u64, placed, left_out, other_models, second_try: None })
    }

    /// What the database contains about each photo; `None` if it cannot be read.
    fn matches_by_photo(&mut self) -> Option<BTreeMap<String, PhotoMatches>> {
        let read = |path: &Path| -> Result<BTreeMap<String, PhotoMatches>> {
            let database = Database::open(path)?;
            let images = database.images()?;
            let names: BTreeMap<u32, &str> =
                images.iter().map(|image| (image.id, image.name.as_str())).collect();
            let seen = |features| PhotoMatches { features, partners: Vec::new() };
            let mut all: BTreeMap<String, PhotoMatches> =
                images.iter().map(|image| (image.name.clone(), seen(image.features))).collect();
            for [a, b] in database.verified(MIN_MATCHES)? {
                let (Some(&a), Some(&b)) = (names.get(&a), names.get(&b)) else { continue };
                for (of, partner) in [(a, b), (b, a)] {
                    all.entry(of.to_owned()).or_default().partners.push(partner.to_owned());
                }
            }
            Ok(all)
        };
        match read(&self.database()) {
            Ok(seen) => Some(seen),
            Err(error) => {
                self.log(&format!("why photos are left out is not known: {error}"));
                None
            }
        }
    }

    /// Records that a second try takes place, and emits a message.
    pub(super) fn begin_second_try(
        &mut self,
        prepared: &str,
        placement: &Placement,
    ) -> Result<SecondTryRecord> {
        let names: BTreeSet<String> = placement.left_out.iter().map(|photo| photo.name.clone()).collect();
        let message = format!(
            "COLMAP placed {} of {} photos; more features are sought in the other {}",
            placement.placed,
            placement.photos,
            names.len()
        );
        (self.events)(Event::Warning { message });
        let second_try =
            SecondTryRecord { photos: prepared.to_owned(), quality: self.options.quality, names, seconds: 0 };
        self.state.second_try = Some(second_try.clone());
        self.state.save()?;
        Ok(second_try)
    }

    /// Records the duration of the second try.
    pub(super) fn end_second_try(
        &mut self,
        second_try: SecondTryRecord,
        took: Duration,
    ) -> Result<SecondTryRecord> {
        let second_try = SecondTryRecord { seconds: took.as_secs().max(1), ..second_try };
        self.state.second_try = Some(second_try.clone());
        self.state.save()?;
        Ok(second_try)
    }

    /// Runs the mapper to add photos to `model`, which is kept if that fails. `gps`: whether GPS positions are used, as for `model`.
    pub(super) fn add_photos_to_model(&mut self, model: &Path, total: u64, gps: bool) -> Result<()> {
        let out = self.work.join("continued");
        prepare::remove_dir(&out)?;
        splat_core::files::make_dir(&out)?;
        let command = self.with_paths(|colmap, options, paths| {
            stages::mapping_from_model(colmap, options, paths, gps, model, &out)
        })?;
        match self.colmap(Stage::Mapping, &command, 0, Some(total)) {
            Err(ColmapError::StageFailed { command, .. }) => {
                self.log(&format!("`{command}` could not go on from `{}`, which is kept", model.display()));
            }
            result => result?,
        }
        if ModelForm::of(&out).is_some() {
            prepare::remove_dir(model)?;
            fs::rename(&out, model).map_err(|error| write_error(model, error))?;
        }
        prepare::remove_dir(&out)
    }

    /// Emits which photos have a pose, with a warning about those that do not.
    pub(super) fn emit_placement(&self, placement: &Placement) {
        let warn = |message| (self.events)(Event::Warning { message });
        (self.events)(Event::Placed(placement.clone()));
        let Some(mut message) = placement.warning() else { return };
        if let Some(SecondTry { photos, placed, elapsed_s }) = placement.second_try {
            let took = duration(elapsed_s as f64);
            message.push_str(&format!(". A second try placed {placed} of {photos} in {took}"));
        }
        if 100 * placement.placed < GOOD_PLACED_PERCENT * placement.photos {
            message.push_str(
                ". Photos of one place that overlap by 60 % or more connect better, as does a higher COLMAP quality",
            );
        }
        warn(message);
        if let Some(OtherModel { model, photos }) = placement.other_models.first() {
            let (sparse, images) = (self.work.join("sparse").join(model.to_string()), self.photos_dir());
            warn(format!(
                "the photos make {} groups that do not connect, of which the largest is used; the next has {photos} photos: \
                 train it as a dataset of its own, `{}`, with `--images {}`",
                placement.other_models.len() + 1,
                sparse.display(),
                images.display()
            ));
        }
    }
}
