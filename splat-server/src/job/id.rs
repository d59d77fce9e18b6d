//! Random ids of jobs and uploads.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Characters of a random id: lower-case base 32 without `i`, `l`, `o`, `u` (Crockford): safe in file names, URLs and object
/// keys, and unambiguous when read aloud.
const ID_ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 26 characters of 5 bits: 130 bits, which cannot be guessed.
const ID_LENGTH: usize = 26;

/// Random text of [`ID_ALPHABET`], 5 bits per character.
pub(crate) fn random_text(length: usize) -> String {
    let mut bytes = vec![0_u8; length];
    // Secrets need the system's random source; there is no safe fallback.
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes.iter().map(|byte| char::from(ID_ALPHABET[usize::from(byte & 31)])).collect()
}

/// Id of a job or an upload. Random and unguessable, and the only part of a request that becomes part of a path.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobId(String);

/// The text is not a valid id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id has 26 characters of 0-9 and a-z")]
pub struct NotAnId;

impl JobId {
    /// A new random id.
    #[must_use]
    pub fn random() -> Self {
        Self(random_text(ID_LENGTH))
    }

    /// An id derived from the first 26 bytes of a digest, so that the same input finds the same folder.
    pub(crate) fn derived(digest: &[u8]) -> Self {
        let letter = |byte: &u8| char::from(ID_ALPHABET[usize::from(byte & 31)]);
        // Shorter digests, which are not used, are padded with zeros.
        Self(digest.iter().chain(std::iter::repeat(&0)).take(ID_LENGTH).map(letter).collect())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for JobId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let valid = text.len() == ID_LENGTH && text.bytes().all(|byte| ID_ALPHABET.contains(&byte));
        if valid { Ok(Self(text.to_owned())) } else { Err(NotAnId) }
    }
}

impl TryFrom<String> for JobId {
    type Error = NotAnId;

    fn try_from(text: String) -> Result<Self, NotAnId> {
        text.parse()
    }
}

impl From<JobId> for String {
    fn from(id: JobId) -> Self {
        id.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
