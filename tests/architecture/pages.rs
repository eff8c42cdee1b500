//! Checks the pages in `docs/`: every cited heading exists, and every link has a target.

use std::fs;
use std::path::{Path, PathBuf};

/// Files and directories that may cite a page.
const CITING: [&str; 6] = ["src", "tests", "proto", "migrations", "docs", "build.rs"];
/// Directories of installed packages and of recordings, which are skipped.
const PASSED_OVER: [&str; 4] = ["node_modules", "captures", "seeds", ".venv"];

fn files(path: &Path, found: &mut Vec<PathBuf>) {
    if !path.is_dir() {
        return found.push(path.to_owned());
    }
    for entry in fs::read_dir(path).expect("a directory of the crate") {
        let entry = entry.expect("an entry");
        if !PASSED_OVER.iter().any(|name| entry.file_name() == *name) {
            files(&entry.path(), found);
        }
    }
}

/// Returns a text as one line, without the marks that begin the lines of comments.
fn joined(text: &str) -> String {
    let marks = ['/', '!', '#', '-', '*', ' '];
    text.lines().map(|line| line.trim().trim_start_matches(marks)).collect::<Vec<_>>().join(" ")
}

/// Returns the citations of a text: `docs/PAGE.md, "HEADING"`, and further headings after a comma
/// or "and".
fn citations(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for part in joined(text).split(concat!("docs", "/")).skip(1) {
        let Some((page, mut rest)) = part.split_once(".md") else { continue };
        if !page.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-') {
            continue;
        }
        while let Some(quoted) = rest.strip_prefix(", \"").or(rest.strip_prefix(" and \"")) {
            let Some((heading, after)) = quoted.split_once('"') else { break };
            found.push((format!("docs/{page}.md"), heading.to_owned()));
            rest = after;
        }
    }
    found
}

/// Returns the lines of a page that are not in a block of code.
fn prose(page: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    page.lines().filter(move |line| {
        let is_fence = line.starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

fn headings(page: &str) -> impl Iterator<Item = &str> {
    prose(page).filter(|line| line.starts_with('#')).map(|line| line.trim_matches(['#', ' ']))
}

/// Returns the fragment with which a link names a heading.
fn fragment(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Returns the targets of the links of a page that are neither external addresses nor code.
fn links(page: &str) -> Vec<String> {
    let without_code = |line: &str| line.split('`').step_by(2).collect::<String>();
    let text: Vec<_> = prose(page).map(without_code).collect();
    let text = text.join(" ");
    let targets = text.split("](").skip(1).filter_map(|part| part.split_once(')'));
    let targets = targets.map(|(target, _)| target.to_owned());
    targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:")).collect()
}

#[test]
fn every_cited_heading_exists() {
    let (mut citing, mut wrong, mut count) = (Vec::new(), Vec::new(), 0);
    for path in CITING {
        files(Path::new(path), &mut citing);
    }
    for file in citing {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        for (page, heading) in citations(&text) {
            let there = fs::read_to_string(&page)
                .is_ok_and(|text| headings(&text).any(|there| there == heading));
            if !there {
                wrong.push(format!("{}: {page} has no heading {heading:?}", file.display()));
            }
            count += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 30, "{count} citations");
}

#[test]
fn every_link_between_pages_has_a_target() {
    let (mut pages, mut wrong, mut count) = (Vec::new(), Vec::new(), 0);
    files(Path::new("docs"), &mut pages);
    for page in pages.iter().filter(|page| page.extension().is_some_and(|suffix| suffix == "md")) {
        for link in links(&fs::read_to_string(page).expect("UTF-8")) {
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target =
                if path.is_empty() { page.clone() } else { page.with_file_name("").join(path) };
            let text = fs::read_to_string(&target).unwrap_or_default();
            let named = anchor.is_empty() || headings(&text).any(|one| fragment(one) == anchor);
            if !target.exists() || !named {
                wrong.push(format!("{}: {link}", page.display()));
            }
            count += 1;
        }
    }
    assert!(wrong.is_empty(), "these links have no target:\n{}", wrong.join("\n"));
    assert!(count > 30, "{count} links");
}

#[test]
fn citations_and_links_are_found() {
    let text = ["//! As in docs", "/a-page.md, \"A\n//! heading\" and \"Another\"."].concat();
    let page = || "docs/a-page.md".to_owned();
    let found = [(page(), "A heading".to_owned()), (page(), "Another".to_owned())];
    assert_eq!(citations(&text), found);
    let page = "# One, `two`\n```\n# no\n[no](no.md)\n```\n[a](b.md#c) `[no](no)` [d](https://e/)";
    assert_eq!(links(page), ["b.md#c"]);
    assert_eq!(headings(page).map(fragment).collect::<Vec<_>>(), ["one-two"]);
}
