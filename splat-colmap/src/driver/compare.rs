//! The part of the Matching stage that this program does itself: comparing, before COLMAP verifies.

use std::collections::BTreeMap;

use splat_core::Event;
use splat_core::events::Stage;

use super::job::Job;
use super::options::{Matcher, MatcherEngine};
use super::pairs;
use crate::error::{ColmapError, Result};
use crate::matching::{Database, Watch, match_pairs};

impl Job<'_> {
    /// Who compares features in this run.
    pub(super) fn engine(&self) -> MatcherEngine {
        match self.options.matcher_engine {
            MatcherEngine::Auto if self.use_gpu => MatcherEngine::Colmap,
            MatcherEngine::Auto => MatcherEngine::Splat,
            chosen => chosen,
        }
    }

    /// Compares the pairs of `names` (sorted) that COLMAP's commands for `matcher` will look at, telling `steps` steps of
    /// progress out of `total`. Without being asked for it by name, this gives way to COLMAP where its database is not as
    /// known here.
    pub(super) fn compare(&mut self, names: &[&str], matcher: Matcher, steps: u64, total: u64) -> Result<()> {
        if self.engine() != MatcherEngine::Splat {
            return Ok(());
        }
        match self.compare_all(names, matcher, steps, total) {
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

    fn compare_all(&mut self, names: &[&str], matcher: Matcher, steps: u64, total: u64) -> Result<()> {
        let mut database = Database::open(&self.database())?;
        let images = database.images()?;
        let known: BTreeMap<&str, usize> =
            images.iter().enumerate().map(|(place, image)| (image.name.as_str(), place)).collect();
        let overlap = self.options.quality.settings().overlap;
        let pairs: Vec<[usize; 2]> = pairs::places(matcher, names.len(), overlap)
            .into_iter()
            .filter_map(|[a, b]| {
                let (a, b) = (*known.get(names[a])?, *known.get(names[b])?);
                Some([a.min(b), a.max(b)])
            })
            .collect();
        self.log(&format!("== comparing the features of {} pairs", pairs.len()));
        let events = self.events;
        let progress = |done: u64, all: u64| {
            events(Event::StageProgress {
                stage: Stage::Matching,
                done: steps * done / all.max(1),
                total: Some(total),
            });
        };
        let watch = Watch { cancel: self.cancel, limit: self.options.stage_timeout, progress: &progress };
        match_pairs(&mut database, &images, &pairs, watch)
    }
}
