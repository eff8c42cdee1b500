//! Replays the corpora of the fuzz targets: inputs written by hand, those that a run has kept, and
//! those on which a target has failed once.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

#[path = "../../fuzz/src/lib.rs"]
mod fuzz;

fn names(directory: &str) -> BTreeSet<String> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let entries = fs::read_dir(root.join(directory)).expect("a directory of fuzz");
    let names = entries.map(|entry| entry.expect("an entry").path());
    let stem = |path: PathBuf| path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    names.filter_map(stem).collect()
}

#[test]
fn every_input_of_the_corpora_passes() {
    let mut count = 0;
    for (target, function) in fuzz::TARGETS {
        let directory = format!("{}/fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
        let mut inputs: Vec<_> = fs::read_dir(&directory)
            .expect("a corpus")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        inputs.sort();
        assert!(!inputs.is_empty(), "{target} has a corpus");
        for input in inputs {
            let data = fs::read(&input).expect("an input");
            let passed = std::panic::catch_unwind(|| function(&data));
            assert!(passed.is_ok(), "{target} fails on {}", input.display());
            count += 1;
        }
    }
    assert!(count > 100, "{count} inputs");
}

#[test]
fn every_target_has_a_program_and_a_corpus() {
    let targets: BTreeSet<_> = fuzz::TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(targets.len(), fuzz::TARGETS.len());
    assert_eq!(names("fuzz_targets"), targets);
    assert_eq!(names("corpus"), targets);
    let manifest = include_str!("../../fuzz/Cargo.toml");
    let programs = manifest.lines().filter_map(|line| line.strip_prefix("path = \"fuzz_targets/"));
    let programs = programs.filter_map(|program| program.strip_suffix(".rs\""));
    assert_eq!(programs.map(str::to_owned).collect::<BTreeSet<_>>(), targets);
}
