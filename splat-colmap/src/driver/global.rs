//! COLMAP 4's global mapper, for photos that the incremental one leaves out.
//!
//! The incremental mapper places one photo after the other, and stops where the next one shares too little with those placed; the global
//! one places all at once. Where the first places all photos, its error is the smaller one and it takes less time (table "Mappers" of
//! `docs/benchmarks.md`), so the second is only asked where photos are left out.

use std::fs;
use std::path::Path;

use splat_core::events::Stage;

use super::job::PosingRun;
use super::{prepare, stages};
use crate::error::{ColmapError, Result, write_error};
use crate::read::{find_best_model, list_models, read_model};

impl PosingRun<'_> {
    /// Adds a model to `sparse` if the global mapper places more than `placed` photos, in a way that the matches do not speak against.
    /// Does nothing for releases that lack it.
    pub(super) fn map_globally(&mut self, sparse: &Path, placed: u64, total: u64) -> Result<()> {
        let out = self.work.join("global");
        prepare::remove_dir(&out)?;
        splat_core::files::make_dir(&out)?;
        let command = match self.with_paths(|colmap, _, paths| stages::mapping_globally(colmap, paths, &out))
        {
            Err(ColmapError::NoCommand { .. }) => return prepare::remove_dir(&out),
            command => command?,
        };
        match self.colmap(Stage::Mapping, &command, 0, Some(total)) {
            Err(ColmapError::StageFailed { command, .. }) => {
                self.log(&format!("`{command}` found no model; that of the incremental mapper is kept"));
            }
            result => result?,
        }
        if let Ok(best) = find_best_model(&out)
            && best.registered > placed
        {
            if self.is_doubtful(&read_model(&best.dir)?) {
                self.log("the global mapper's model may lay two places over one another and is not used");
            } else {
                let numbers = list_models(sparse).into_iter().filter_map(|dir| {
                    dir.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<u32>().ok())
                });
                let place = sparse.join(numbers.max().map_or(0, |last| last + 1).to_string());
                fs::rename(&best.dir, &place).map_err(|error| write_error(&place, error))?;
            }
        }
        prepare::remove_dir(&out)
    }
}
