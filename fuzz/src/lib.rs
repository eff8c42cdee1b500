//! The fuzz targets: each is a function of bytes that panics if something that must hold does not.
//!
//! `fuzz_targets/` hands them to libFuzzer. The API suite compiles this file, too, and replays the
//! corpora (`tests/api/fuzz_corpora.rs`). What a target compares the service with is written here
//! and uses no code of the service.

pub mod calls;
pub mod parameters;
pub mod policies;
pub mod replies;
pub mod sealed;
pub mod services;
pub mod signatures;
pub mod values;

/// A target: its name, which is that of its corpus, and its function.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 16] = [
    ("parameters", parameters::parameters),
    ("request", parameters::request),
    ("messages", parameters::messages),
    ("canonical_v1", signatures::canonical_v1),
    ("canonical_v3", signatures::canonical_v3),
    ("authorization", signatures::authorization),
    ("replies", replies::replies),
    ("refusals", replies::refusals),
    ("calls", calls::calls),
    ("page_tokens", sealed::page_tokens),
    ("cursors", sealed::cursors),
    ("sealed", sealed::sealed),
    ("security_tokens", sealed::security_tokens),
    ("policies", policies::policies),
    ("token_files", services::token_files),
    ("grants", services::grants),
];
