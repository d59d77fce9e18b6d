//! The Matching stage: selection of pairs, feature matching in this program, and verification by COLMAP.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use splat_core::Event;
use splat_core::events::{EventSink, Stage};

use super::job::PosingRun;
use super::options::{Matcher, MatcherEngine};
use super::pairs::{self, Pairs};
use super::prepare::Photos;
use super::stages;
use crate::error::{ColmapError, Result, write_error};
use crate::matching::{
    Comparer, Database, ImageRow, MIN_MATCHES, Watch, match_pairs, preselect, products_of_all_pairs,
};

impl PosingRun<'_> {
    /// The matching engine of this run.
    pub(super) fn engine(&self) -> MatcherEngine {
        match self.options.matcher_engine {
            MatcherEngine::Auto if self.use_gpu => MatcherEngine::Colmap,
            MatcherEngine::Auto => MatcherEngine::Splat,
            chosen => chosen,
        }
    }

    pub(super) fn matching(&mut self, photos: &Photos) -> Result<()> {
        let database = self.database();
        let key =
            format!("{:?} {:?} {}", self.options.matcher, self.engine(), self.options.quality.overlap());
        self.stage(
            Stage::Matching,
            &key,
            || database.is_file(),
            |job| {
                job.with_gpu_or_without(|job| {
                    job.begin_matching()?;
                    let names = photos.names();
                    let pairs = job.on_gpu_or_processor(|job| job.choose_pairs(photos, &names))?;
                    job.on_gpu_or_processor(|job| job.compare(&names, &pairs))?;
                    job.verify_pairs(&names, &pairs)
                })
            },
        )
    }

    /// Removes from the database the matches of another engine or another selection of pairs. Features are kept.
    fn begin_matching(&mut self) -> Result<()> {
        let (engine, overlap) = (self.engine(), self.options.quality.overlap());
        let how = format!("{:?} {engine:?} {overlap}", self.options.matcher);
        let slow = self.colmap.version().slow_matching().filter(|_| engine == MatcherEngine::Colmap);
        slow.into_iter().for_each(|message| (self.events)(Event::Warning { message }));
        if self.state.matched.as_ref().is_some_and(|was| *was != how) {
            Database::open(&self.database())?.remove_matches()?;
        }
        self.state.matched = Some(how);
        self.state.save()
    }

    /// The pairs of `names` (sorted) to compare. If the selection needs features and COLMAP's database has an unknown schema, it depends
    /// on names and number of the photos only.
    fn choose_pairs(&mut self, photos: &Photos, names: &[&str]) -> Result<Pairs> {
        let by_features = match self.options.matcher {
            Matcher::Exhaustive => return Ok(Pairs::All),
            Matcher::Sequential => return Ok(Pairs::InOrder),
            Matcher::Preselection => true,
            Matcher::Auto => false,
        };
        match self.choose_by_features(photos, names, by_features) {
            Err(error @ ColmapError::Database { .. }) if !by_features => {
                self.log(&error.to_string());
                Ok(pairs::without_features(names, photos.cameras.len()))
            }
            result => result,
        }
    }

    fn choose_by_features(&mut self, photos: &Photos, names: &[&str], always: bool) -> Result<Pairs> {
        let database = Database::open(&self.database())?;
        let images = database.images()?;
        if !always && products_of_all_pairs(&images) <= Matcher::EXHAUSTIVE_PRODUCTS {
            return Ok(Pairs::All);
        }
        self.log(&format!("== choosing among the pairs of {} photos", images.len()));
        let places: BTreeMap<&str, usize> =
            names.iter().enumerate().map(|(place, name)| (*name, place)).collect();
        let steps = names.len() as u64;
        let progress = progress_of(self.events, 0, steps, 3 * steps);
        let chosen = preselect(&database, &images, self.comparer(), self.watch(&progress))?;
        let in_names = |pair: [usize; 2]| {
            let [a, b] = pair.map(|place| places.get(images[place].name.as_str()).copied());
            Some([a?.min(b?), a?.max(b?)])
        };
        let mut pairs: BTreeSet<[usize; 2]> = chosen.into_iter().filter_map(in_names).collect();
        let of_features = pairs.len();
        pairs.extend(pairs::neighbours(names.len()));
        let positions: Vec<Option<[f64; 2]>> =
            names.iter().map(|name| photos.positions.get(*name).copied()).collect();
        pairs.extend(pairs::nearest(&positions));
        self.log(&format!("{} pairs, {of_features} of them by their features", pairs.len()));
        Ok(Pairs::Listed(pairs.into_iter().collect()))
    }

    /// Matches `pairs` if this program is the engine. Falls back to COLMAP if its database has an unknown schema, unless this engine was
    /// requested explicitly.
    fn compare(&mut self, names: &[&str], pairs: &Pairs) -> Result<()> {
        if self.engine() != MatcherEngine::Splat {
            return Ok(());
        }
        match self.compare_all(names, pairs) {
            Err(error @ ColmapError::Database { .. })
                if self.options.matcher_engine == MatcherEngine::Auto =>
            {
                self.log(&error.to_string());
                let message = format!("{error}. COLMAP compares them now, which takes longer");
                (self.events)(Event::Warning { message });
                Ok(())
            }
            result => result,
        }
    }

    fn compare_all(&mut self, names: &[&str], pairs: &Pairs) -> Result<()> {
        let mut database = Database::open(&self.database())?;
        let images = database.images()?;
        let places = image_places(&images, &pairs.places(names.len(), self.options.quality.overlap()), names);
        self.log(&format!("== comparing the features of {} pairs", places.len()));
        let steps = steps(names, pairs);
        let [before, total] = match pairs {
            Pairs::Listed(_) => [steps, 3 * steps],
            _ => [0, 2 * steps],
        };
        let progress = progress_of(self.events, before, steps, total);
        match_pairs(&mut database, &images, &places, self.comparer(), self.watch(&progress))
    }

    /// Runs COLMAP to verify the matches, and to match pairs that have not been compared.
    fn verify_pairs(&mut self, names: &[&str], pairs: &Pairs) -> Result<()> {
        let steps = steps(names, pairs);
        let compared = self.engine() == MatcherEngine::Splat;
        let (done, total) = if compared { (steps, 2 * steps) } else { (0, steps) };
        match pairs {
            Pairs::All => {
                let command = self.with_paths(stages::match_all)?;
                self.colmap(Stage::Matching, &command, done, Some(total))
            }
            Pairs::InOrder => {
                let command = self.with_paths(stages::match_sequence)?;
                self.colmap(Stage::Matching, &command, done, Some(total + 1))?;
                self.verify_listed(&pairs::loop_pairs(names), total, total + 1)
            }
            Pairs::Listed(listed) => self.verify_selected(names, listed, steps),
        }
    }

    fn verify_selected(&mut self, names: &[&str], listed: &[[usize; 2]], steps: u64) -> Result<()> {
        let mut database = Database::open(&self.database())?;
        let images = database.images()?;
        // COLMAP splits the list at white space, so names that contain it cannot be listed.
        if names.iter().any(|name| name.contains(char::is_whitespace)) {
            let places: BTreeSet<[usize; 2]> = image_places(&images, listed, names).into_iter().collect();
            database.write_unmatched(&images, &places)?;
            drop(database);
            let command = self.with_paths(stages::match_all)?;
            let blocks = stages::blocks(names.len());
            return self.colmap(Stage::Matching, &command, 2 * blocks, Some(3 * blocks));
        }
        let ids: BTreeMap<&str, u32> = images.iter().map(|image| (image.name.as_str(), image.id)).collect();
        let hopeless = if self.engine() == MatcherEngine::Splat {
            database.pairs_below(MIN_MATCHES)?
        } else {
            BTreeSet::new()
        };
        let worth = |pair: &[usize; 2]| {
            let [a, b] = pair.map(|place| ids.get(names[place]).copied());
            !matches!((a, b), (Some(a), Some(b)) if hopeless.contains(&[a.min(b), a.max(b)]))
        };
        let list: String = (listed.iter().filter(|pair| worth(pair)))
            .map(|&[a, b]| format!("{} {}\n", names[a], names[b]))
            .collect();
        self.verify_listed(&list, 2 * steps, 3 * steps)
    }

    /// Verifies a list of pairs, each a line of two names.
    fn verify_listed(&mut self, list: &str, done: u64, total: u64) -> Result<()> {
        let path = self.work.join("pairs.txt");
        fs::write(&path, list).map_err(|error| write_error(&path, error))?;
        let command =
            self.with_paths(|colmap, options, paths| stages::match_pairs(colmap, options, paths, &path))?;
        self.colmap(Stage::Matching, &command, done, Some(total))
    }

    fn comparer(&self) -> Comparer<'_> {
        self.options.comparer.as_deref().map_or(Comparer::Processor, Comparer::Gpu)
    }

    /// Repeats what fails on a GPU on the processor, and stays there.
    fn on_gpu_or_processor<T>(&mut self, work: impl Fn(&mut Self) -> Result<T>) -> Result<T> {
        match work(self) {
            Err(ColmapError::Core(error))
                if self.options.comparer.is_some() && !matches!(error, splat_core::Error::Cancelled) =>
            {
                self.log(&format!("comparing features on the GPU failed: {error}"));
                let message = format!("{error}. The processor compares the photos' features instead");
                (self.events)(Event::Warning { message });
                self.options.comparer = None;
                work(self)
            }
            result => result,
        }
    }

    fn watch<'a>(&'a self, progress: &'a (dyn Fn(u64, u64) + Sync)) -> Watch<'a> {
        Watch { cancel: self.cancel, limit: self.options.stage_timeout, progress }
    }
}

/// Emits the stage's progress: `steps` steps after `before` out of `total`.
fn progress_of(
    events: EventSink<'_>,
    before: u64,
    steps: u64,
    total: u64,
) -> impl Fn(u64, u64) + Sync + use<'_> {
    move |done, all| {
        let done = before + steps * done / all.max(1);
        events(Event::StageProgress { stage: Stage::Matching, done, total: Some(total) });
    }
}

/// Steps of progress: COLMAP's blocks, or photos, once for each part of the stage.
fn steps(names: &[&str], pairs: &Pairs) -> u64 {
    match pairs {
        Pairs::All => stages::blocks(names.len()),
        Pairs::InOrder | Pairs::Listed(_) => names.len() as u64,
    }
}

/// Converts indices into the sorted names to indices into the database's images; pairs of photos that are not in the database are left out.
fn image_places(images: &[ImageRow], pairs: &[[usize; 2]], names: &[&str]) -> Vec<[usize; 2]> {
    let known: BTreeMap<&str, usize> =
        images.iter().enumerate().map(|(place, image)| (image.name.as_str(), place)).collect();
    let place = |&[a, b]: &[usize; 2]| {
        let (a, b) = (*known.get(names[a])?, *known.get(names[b])?);
        Some([a.min(b), a.max(b)])
    };
    pairs.iter().filter_map(place).collect()
}
