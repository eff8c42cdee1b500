//! Compiles `proto/` into the types and services of `src/proto/mod.rs`, in pure Rust, so that no
//! `protoc` has to be installed. The encoded descriptors are kept: the shim and reflection read the
//! API's own options from them at run time.

use std::{collections::BTreeSet, env, error::Error, fs, path::PathBuf};

/// Every file with a service that is served, or with a message of one.
const SERVED: [&str; 12] = [
    "activation/rpc/v1/options.proto",
    "activation/billing/v1/charge.proto",
    "activation/cdn/v1/cdn.proto",
    "activation/dcdn/v1/dcdn.proto",
    "activation/event/v1/event.proto",
    "activation/operator/v1/account.proto",
    "activation/operator/v1/access_key.proto",
    "activation/operator/v1/audit.proto",
    "activation/operator/v1/charge_type_change.proto",
    "activation/operator/v1/event.proto",
    "activation/operator/v1/instance.proto",
    "activation/operator/v1/operation_lock.proto",
];
/// The files of the explorer's page, which are part of the program.
const WEB: &str = "src/explorer/web";
/// The service of the commerce system. It is called and not served, so neither reflection nor the
/// shim shows it.
const ASKED: [&str; 1] = ["activation/order/v1/order.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed={WEB}");
    println!("cargo:rerun-if-changed=migrations"); // sqlx::migrate! embeds them
    let mut compiler = served(true)?;
    #[expect(clippy::disallowed_methods, reason = "cargo tells a build script where to write so")]
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    // The encoded form keeps custom options, which the types of prost would lose.
    fs::write(out_dir.join("commented.bin"), compiler.encode_file_descriptor_set())?;
    fs::write(out_dir.join("descriptors.bin"), served(false)?.encode_file_descriptor_set())?;

    compiler.open_files(ASKED)?;
    tonic_prost_build::configure()
        .include_file("activation.rs")
        .compile_fds(compiler.file_descriptor_set())?;
    fs::write(out_dir.join("explorer.rs"), list_of_web_files()?)?;
    Ok(())
}

/// Returns an array of the files of the explorer's page, each with its path and its text.
fn list_of_web_files() -> Result<String, Box<dyn Error>> {
    let root = fs::canonicalize(WEB)?;
    let (mut files, mut directories) = (BTreeSet::new(), vec![root.clone()]);
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if path.is_dir() {
                directories.push(path);
            } else {
                files.insert(path);
            }
        }
    }
    let mut list = Vec::new();
    for path in files {
        let name = path.strip_prefix(&root)?.to_str().ok_or("a name is not UTF-8")?;
        let path = path.to_str().ok_or("a path is not UTF-8")?;
        list.push(format!("({name:?}, include_str!({path:?}))"));
    }
    Ok(format!("&[{}]", list.join(", ")))
}

/// Compiles the served files, with their comments or without. The comments are more than half of
/// the bytes, and only reflection shows them.
fn served(with_comments: bool) -> Result<protox::Compiler, protox::Error> {
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true).include_source_info(with_comments).open_files(SERVED)?;
    Ok(compiler)
}
