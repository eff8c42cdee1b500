//! What is said of the results: two tables, a file of figures, a picture.

pub mod csv;
pub mod plot;
pub mod ratios;
mod svg;
mod tables;

use std::path::{Path, PathBuf};

use crate::rounds::Spread;
use crate::work_dir;

pub use tables::{print_ratios, print_rows};

/// What is measured of the service alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extras {
    /// From the start of the program to its first answer.
    pub start_ms: Option<Spread>,
    /// The size of the program, in millions of bytes.
    pub binary_mb: Option<f64>,
    /// Verification of a signature without the database, in microseconds.
    pub signature_us: Option<Spread>,
}

/// Where a file of the results goes: beside the sources, to be committed, where the run was a whole
/// one; below the build directory where it was a quick look.
pub fn results_file(name: &str, is_whole: bool) -> PathBuf {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/results");
    let directory = if is_whole { committed } else { work_dir().join("results") };
    directory.join(name)
}
