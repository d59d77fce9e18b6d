//! The Features stage. Features of an earlier run are kept if extracting them again would give the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use splat_core::events::Stage;

use super::job::PosingRun;
use super::options::FeatureSettings;
use super::prepare::{self, Photos};
use super::stages::{self, CameraMode, FeatureList};
use crate::error::{ColmapError, Result, write_error};
use crate::matching::{Database, ImageRow};

/// The inputs of the features in the database.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct FoundFeatures {
    /// All inputs but the settings: photos, camera model, program, use of a GPU.
    from: String,
    /// The extraction settings for each photo.
    by_photo: BTreeMap<String, FeatureSettings>,
}

impl FeatureSettings {
    /// Whether a photo whose longer side has `side_px` pixels and in which these settings found `found` features would have the same
    /// features with other settings.
    fn finds_the_same(self, other: Self, side_px: u32, found: u64) -> bool {
        let size = |settings: Self| settings.max_image_size.min(side_px);
        let uncut = found < u64::from(self.max_features.min(other.max_features));
        (self.first_octave, self.faint) == (other.first_octave, other.faint)
            && size(self) == size(other)
            && (self.max_features == other.max_features || uncut)
    }
}

impl PosingRun<'_> {
    /// Extracts the features of all photos with the settings in `wanted`.
    pub(super) fn features(
        &mut self,
        photos: &Photos,
        wanted: &BTreeMap<String, FeatureSettings>,
    ) -> Result<()> {
        let database = self.database();
        let settings: BTreeSet<String> =
            wanted.iter().map(|(name, settings)| format!("{name} {settings:?}")).collect();
        let key = format!("{:?} {} {settings:?}", self.options.camera_model, self.use_gpu);
        let prepared = self.key.clone();
        self.stage(
            Stage::Features,
            &key,
            || database.is_file(),
            |job| {
                job.with_gpu_or_without(|job| {
                    let from = format!("{prepared} {:?} {}", job.options.camera_model, job.use_gpu);
                    job.drop_stale_features(&from, wanted)?;
                    job.state.features = Some(FoundFeatures { from, by_photo: wanted.clone() });
                    job.state.save()?;
                    job.find_missing_features(photos, wanted)
                })
            },
        )
    }

    /// Removes from the database features that other settings than `wanted` found; all of them if the other inputs differ.
    fn drop_stale_features(&mut self, from: &str, wanted: &BTreeMap<String, FeatureSettings>) -> Result<()> {
        let path = self.database();
        let found = self.state.features.take();
        let known = found.filter(|found| found.from == from && path.is_file());
        let Some(found) = known else { return self.begin_database() };
        let stale = |image: &ImageRow, side_px: u32| {
            let (was, is) = (found.by_photo.get(&image.name), wanted.get(&image.name));
            !matches!((was, is), (Some(was), Some(is)) if was.finds_the_same(*is, side_px, image.features))
        };
        let dropped = || -> Result<()> {
            let mut database = Database::open(&path)?;
            let sides = database.longer_sides()?;
            let images = database.images()?;
            let stale: Vec<u32> = (images.iter())
                .filter(|image| stale(image, sides.get(&image.id).copied().unwrap_or(0)))
                .map(|image| image.id)
                .collect();
            database.remove_features(&stale)
        };
        match dropped() {
            // A database that is damaged or has an unknown schema is recreated.
            Err(ColmapError::Database { path, what }) => {
                self.log(&format!("`{}` is created again: {what}", path.display()));
                self.begin_database()
            }
            result => result,
        }
    }

    fn begin_database(&mut self) -> Result<()> {
        self.state.matched = None;
        prepare::remove_database(&self.database())
    }

    /// Runs COLMAP to extract features of photos that have none in the database.
    fn find_missing_features(
        &mut self,
        photos: &Photos,
        wanted: &BTreeMap<String, FeatureSettings>,
    ) -> Result<()> {
        let total = photos.count() as u64;
        let mut done = 0;
        for (mode, names) in stages::camera_lists(photos) {
            let mut by_settings: BTreeMap<FeatureSettings, Vec<&str>> = BTreeMap::new();
            for &name in &names {
                let settings = wanted.get(name).copied().unwrap_or(self.options.quality.settings());
                by_settings.entry(settings).or_default().push(name);
            }
            for (settings, listed) in by_settings {
                let known = self.cameras()?;
                let missing: Vec<&str> = (listed.iter().copied())
                    .filter(|name| known.get(*name).is_none_or(|(_, has_features)| !has_features))
                    .collect();
                if !missing.is_empty() {
                    // Photos of a camera that is in the database already share it.
                    let camera = names.iter().find_map(|name| known.get(*name)).map(|(camera, _)| *camera);
                    let camera = camera.filter(|_| mode == CameraMode::Shared);
                    let path = self.work.join("photos.txt");
                    fs::write(&path, missing.join("\n") + "\n").map_err(|error| write_error(&path, error))?;
                    let list = FeatureList { path: &path, mode, photos: names.len(), camera };
                    let command = self.with_paths(|colmap, options, paths| {
                        stages::features(colmap, options, settings, paths, &list)
                    })?;
                    let kept = (listed.len() - missing.len()) as u64;
                    self.colmap(Stage::Features, &command, done + kept, Some(total))?;
                }
                done += listed.len() as u64;
            }
        }
        Ok(())
    }

    /// The camera of each photo in the database, and whether the photo has features; empty if the database cannot be read.
    fn cameras(&mut self) -> Result<BTreeMap<String, (u32, bool)>> {
        let path = self.database();
        if !path.is_file() {
            return Ok(BTreeMap::new());
        }
        match Database::open(&path).and_then(|database| database.cameras()) {
            Err(error @ ColmapError::Database { .. }) => {
                self.log(&error.to_string());
                Ok(BTreeMap::new())
            }
            result => result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::options::ColmapQuality;

    #[test]
    fn features_are_the_same_where_no_setting_changes_what_is_found() {
        let low =
            FeatureSettings { max_image_size: 1000, max_features: 2048, first_octave: -1, faint: false };
        let high = FeatureSettings { max_image_size: 2400, max_features: 4096, ..low };
        // A photo smaller than both limits in which fewer are found than either allows.
        assert!(low.finds_the_same(high, 960, 2047) && high.finds_the_same(low, 960, 2047));
        // Cut off at the limit, scaled down, begun at another size.
        assert!(!low.finds_the_same(high, 960, 2048));
        assert!(!low.finds_the_same(high, 1001, 900));
        assert!(!low.finds_the_same(FeatureSettings { first_octave: 0, ..low }, 960, 900));
        assert!(!low.finds_the_same(FeatureSettings { faint: true, ..low }, 960, 900));
        assert!(low.finds_the_same(low, 4000, 3000));
    }

    #[test]
    fn small_photos_are_looked_at_enlarged_at_any_quality() {
        for quality in ColmapQuality::ALL {
            let settings = quality.settings();
            let limit = settings.max_image_size;
            assert_eq!(settings.of_side(limit / 2).first_octave, -1);
            assert_eq!(settings.of_side(limit / 2 + 1), settings);
            assert_eq!(settings.of_side(u32::MAX), settings);
        }
    }
}
