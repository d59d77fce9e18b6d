//! The HTTP service: upload photos, follow the job, fetch the scene.
//!
//! | module | what |
//! | --- | --- |
//! | [`job`] | what a job is: identity, owner, kind, state, progress, events |
//! | [`keys`] | API keys: who may use the service |
//! | [`page`] | the web page, embedded: `web/`, no framework, strict content security policy |
//! | [`queue`] | who works on what, and what survives a crash: SQLite or Redis behind one trait and one contract suite |

pub mod job;
pub mod keys;
pub mod page;
pub mod queue;
