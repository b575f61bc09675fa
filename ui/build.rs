//! Makes sure that the folder of the built web application exists, so that the server compiles without it.
//! It then answers pages with what to do ("run `make web`").

use std::path::Path;

fn main() {
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("web/dist");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", dist.display());
    if let Err(error) = std::fs::create_dir_all(&dist) {
        println!("cargo::error=cannot create {}: {error}", dist.display());
    }
}
