//! Codes of refusals and failures, for programs and for texts in other languages: the page has a text for each in each of its
//! languages, which a test checks.

splat_core::words! {
    /// Why a request was refused or a job failed.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Code {
        Malformed = "malformed", "The request cannot be parsed";
        Invalid = "invalid", "A value of the request cannot be used";
        Unauthorized = "unauthorized", "A key is missing or wrong";
        Forbidden = "forbidden", "The key does not allow this";
        ForeignOrigin = "foreign_origin", "A web page of another origin sent the request";
        WrongHost = "wrong_host", "The service is not reached under this host name";
        NotFound = "not_found", "It does not exist, or belongs to another owner";
        MethodNotAllowed = "method_not_allowed", "The route has no such method";
        UnsupportedMediaType = "unsupported_media_type", "The route does not accept this content type";
        TusVersion = "tus_version", "The upload protocol has another version";
        BadRange = "bad_range", "The requested range is outside of the file";
        TooLarge = "too_large", "More bytes than the service accepts";
        TooManyRequests = "too_many_requests", "Too many requests in a minute";
        IdempotencyKeyReused = "idempotency_key_reused", "A different request was sent with this idempotency key";
        NameTaken = "name_taken", "The model already has a gesture of this name";
        Interrupted = "interrupted", "The upload broke off";
        Incomplete = "incomplete", "An upload is not complete yet";
        Locked = "locked", "Another request writes to this upload";
        WrongOffset = "wrong_offset", "The chunk does not begin at the upload's offset";
        WrongChecksum = "wrong_checksum", "The chunk does not match its checksum";
        TooManyUploads = "too_many_uploads", "Too many uploads that no job uses";
        TooManyFiles = "too_many_files", "Too many files";
        TooManyPhotos = "too_many_photos", "Too many photos";
        NoPhotos = "no_photos", "No usable photo";
        TooFewPhotos = "too_few_photos", "Too few usable photos";
        Refused = "refused", "A file is not a photo, or a gesture did not pass its checks";
        DiskFull = "disk_full", "The disk is full";
        QueueFull = "queue_full", "Too many jobs are queued";
        TooManyJobs = "too_many_jobs", "The owner has too many unfinished jobs";
        QuotaUsedUp = "quota_used_up", "The key's quota is used up";
        Draining = "draining", "The service accepts no new jobs at the moment";
        WrongState = "wrong_state", "The job is not in a state that allows this";
        NoScene = "no_scene", "The job has no scene";
        NotTraining = "not_training", "The job is not training now";
        TooManyLooks = "too_many_looks", "Too many live views of a training scene are pending";
        Busy = "busy", "The service is too busy to respond";
        Cancelled = "cancelled", "The job was cancelled";
        JobFailed = "job_failed", "The job that was waited for failed";
        Unavailable = "unavailable", "The queue or the file store does not respond";
        Internal = "internal", "The service failed";
        NoReconstruction = "no_reconstruction", "The photos overlap too little";
        TimedOut = "timed_out", "It took too long";
        ColmapCrashed = "colmap_crashed", "COLMAP crashed";
        ColmapFailed = "colmap_failed", "COLMAP failed";
        NoColmap = "no_colmap", "COLMAP cannot be used on the server";
        NoGpu = "no_gpu", "The server's GPU cannot be used";
        GpuLost = "gpu_lost", "The GPU stopped responding";
        OutOfGpuMemory = "out_of_gpu_memory", "The GPU has too little memory";
        CannotWrite = "cannot_write", "A file could not be written";
        BadPhoto = "bad_photo", "A photo cannot be used";
        StoreUnavailable = "store_unavailable", "The file store did not answer";
        CannotStart = "cannot_start", "The job's process could not be started";
        Crashed = "crashed", "The job's process crashed";
        AttemptsExhausted = "attempts_exhausted", "The job's workers were lost too often";
        Unreadable = "unreadable", "The job's description or its model cannot be read";
        Failed = "failed", "It failed for another reason";
        ActedOut = "acted_out", "A failure that was requested in test mode";
        Duplicate = "duplicate", "The same recording was sent before";
        NoParent = "no_parent", "The model to extend is gone";
        Deleted = "deleted", "The model was deleted while it was trained";
        Webhook = "webhook", "The receiver of a webhook did not accept it";
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::collections::BTreeSet;

    use splat_gesture::Reason;

    use super::*;
    use crate::intake::RejectCode;

    /// The keys of a file of texts.
    fn keys(texts: &str) -> BTreeSet<String> {
        let key = |line: &str| Some(line.trim().strip_prefix('\'')?.split_once("': '")?.0.to_owned());
        texts.lines().filter_map(key).collect()
    }

    /// Everything that the service can say no with has a text in each language, and no text is for nothing.
    #[test]
    fn the_page_has_a_text_for_every_code_in_each_language() {
        let codes = Code::ALL.map(Code::name).into_iter().chain(RejectCode::ALL.map(RejectCode::name));
        let codes = codes.map(|code| format!("code.{code}"));
        let reasons = Reason::codes().map(|code| format!("reason.{code}"));
        let sent: BTreeSet<String> = codes.chain(reasons).collect();
        for (language, texts) in [
            ("en", include_str!("../web/assets/js/lang/refusals.en.js")),
            ("ko", include_str!("../web/assets/js/lang/refusals.ko.js")),
        ] {
            let known = keys(texts);
            let lacking: Vec<_> = sent.difference(&known).collect();
            let spare: Vec<_> = known.difference(&sent).collect();
            assert!(
                lacking.is_empty() && spare.is_empty(),
                "{language} lacks {lacking:?} and has {spare:?} for nothing"
            );
        }
    }

    #[test]
    fn reject_codes_are_sent_as_they_are_named() {
        for code in RejectCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.name());
        }
    }
}
