//! The report: a table, a file of figures and a plot.

pub mod csv;
pub mod plot;
mod svg;
pub mod table;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::work_dir;

/// Returns the path of a file of results. Those of a whole run are beside the sources, to be
/// committed; those of any other run are below the build directory.
pub fn results_file(name: &str, is_whole: bool) -> PathBuf {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
    let directory = if is_whole { committed } else { work_dir().join("results") };
    directory.join(name)
}

/// Writes a file of results, and tells where.
fn write(path: &Path, text: String) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(path, text)?;
    println!("written: {}", path.display());
    Ok(())
}
