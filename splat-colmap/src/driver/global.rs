//! COLMAP 4's global mapper, for photos that the incremental mapper leaves out.
//!
//! The incremental mapper adds one photo after the other and stops when the next one shares too few points with the model; the global
//! mapper estimates all poses at once. If the incremental mapper places all photos, its reprojection error is smaller and it is faster
//! (table "Mappers" of `docs/benchmarks.md`), so the global mapper runs only if photos are left out.

use std::fs;
use std::path::Path;

use splat_core::events::Stage;

use super::job::PosingRun;
use super::{prepare, stages};
use crate::error::{ColmapError, Result, write_error};
use crate::read::{find_best_model, list_models, model_number, read_model};

impl PosingRun<'_> {
    /// Adds the global mapper's model to `sparse` if it has more than `placed` photos and is not [doubtful](PosingRun::is_doubtful). Does nothing
    /// with releases before 4.0, which lack the command.
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
                self.log(&format!("`{command}` failed; the incremental mapper's model is kept"));
            }
            result => result?,
        }
        if let Ok(best) = find_best_model(&out)
            && best.registered > placed
        {
            if self.is_doubtful(&read_model(&best.dir)?) {
                self.log("the global mapper's model may lay two places over one another and is not used");
            } else {
                let last = list_models(sparse).iter().filter_map(|dir| model_number(dir)).max();
                let place = sparse.join(last.map_or(0, |last| last + 1).to_string());
                fs::rename(&best.dir, &place).map_err(|error| write_error(&place, error))?;
            }
        }
        prepare::remove_dir(&out)
    }
}
