//! The HTTP service: upload photos, follow the job, fetch the scene.
//!
//! | module | what |
//! | --- | --- |
//! | [`job`] | what a job is: identity, owner, kind, state, progress, events |
//! | [`intake`] | what clients send: photos, zips, videos, resumable uploads; limits hold while it streams to disk |
//! | [`keys`] | API keys: who may use the service |
//! | [`page`] | the web page, embedded: `web/`, no framework, strict content security policy |
//! | [`queue`] | who works on what, and what survives a crash: SQLite or Redis behind one trait and one contract suite |
//! | [`store`] | where the files of jobs lie: a folder or a bucket |
//! | [`tls`] | which cryptography TLS uses |

pub mod intake;
pub mod job;
pub mod keys;
pub mod page;
pub mod queue;
pub mod store;
pub mod tls;
