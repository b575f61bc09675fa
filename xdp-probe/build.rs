//! With the feature `probe`: compiles the kernel program in `ebpf/` for the kernel's own instruction set, with the
//! toolchain that `scripts/setup.sh probe` installs, in a target directory of its own beside this build's.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

const PROGRAMS: [&str; 3] = ["probe", "peers", "wire"];
/// What bpf-linker is built with.
const LLVM: u32 = 22;
const TARGET: &str = "bpfel-unknown-none";
/// Version 3 of the instruction set (Linux 5.1), and loads that need not be aligned, as packets' fields are not.
const RUSTFLAGS: &str =
    "-Ctarget-cpu=v3\x1f-Ctarget-feature=+allows-misaligned-mem-access\x1f-Cdebuginfo=2\x1f-Clink-arg=--btf";

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_PROBE").is_none() {
        return ExitCode::SUCCESS;
    }
    for watched in ["ebpf/src", "ebpf/Cargo.toml", "ebpf/Cargo.lock", "common/src", "common/Cargo.toml"] {
        println!("cargo::rerun-if-changed={watched}");
    }
    match compile() {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!(
                "\nThe kernel program of xdp-probe cannot be built: {reason}\n\n\
                 Install its toolchain with `scripts/setup.sh probe` (Rust with rust-src, LLVM 22, bpf-linker),\n\
                 or build Spotter without it: `cargo build --no-default-features` (capture then uses AF_PACKET alone).\n"
            );
            ExitCode::FAILURE
        }
    }
}

fn compile() -> Result<(), String> {
    let variable = |name: &str| env::var(name).map_err(|_| format!("cargo did not set {name}"));
    let out = PathBuf::from(variable("OUT_DIR")?);
    let source = PathBuf::from(variable("CARGO_MANIFEST_DIR")?).join("ebpf");
    // target/PROFILE/build/xdp-probe-HASH/out: one directory for all profiles, so that core is compiled once.
    let target_dir = out.ancestors().nth(4).ok_or("the build directory is not where cargo puts it")?.join("ebpf");
    let mut cargo = cargo()?;
    cargo
        .current_dir(&source)
        .args(["build", "--release", "--locked", "-Zbuild-std=core", "--target", TARGET])
        .env("CARGO_TARGET_DIR", &target_dir)
        .env("CARGO_ENCODED_RUSTFLAGS", RUSTFLAGS);
    let output = cargo.output().map_err(|error| format!("{cargo:?}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{cargo:?} failed:\n{}", String::from_utf8_lossy(&output.stderr)));
    }
    for program in PROGRAMS {
        let built = target_dir.join(TARGET).join("release").join(program);
        copy(&built, &out.join(program))?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    fs::copy(from, to).map(|_| ()).map_err(|error| format!("{} cannot be copied: {error}", from.display()))
}

/// Cargo that can build `core` from source with an LLVM not newer than bpf-linker's; the same toolchains in the same
/// order as in `scripts/setup.sh`.
fn cargo() -> Result<Command, String> {
    linker()?;
    for toolchain in ["nightly", "1.95.0", "stable"] {
        if builds_core(&["rustup", "run", toolchain, "rustc"]) {
            let mut cargo = Command::new("rustup");
            clean(&mut cargo).args(["run", toolchain, "cargo"]).env("RUSTC_BOOTSTRAP", "1");
            return Ok(cargo);
        }
    }
    for bin in ["/usr/lib/rust-web/bin", "/usr/bin"] {
        let rustc = format!("{bin}/rustc");
        if builds_core(&[&rustc]) {
            let mut cargo = Command::new(Path::new(bin).join("cargo"));
            clean(&mut cargo).env("RUSTC_BOOTSTRAP", "1").env("RUSTC", rustc);
            return Ok(cargo);
        }
    }
    Err(format!("there is no Rust with the sources of `core` (component rust-src) and an LLVM up to {LLVM}"))
}

/// Whether the sources of `core` are there, and its LLVM's output can be read by bpf-linker.
fn builds_core(rustc: &[&str]) -> bool {
    let says = |arguments: &[&str]| {
        let [program, first @ ..] = rustc else { return None };
        let output = clean(&mut Command::new(program)).args(first).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let (Some(sysroot), Some(version)) = (says(&["--print", "sysroot"]), says(&["-vV"])) else { return false };
    let llvm = version.lines().find_map(|line| line.strip_prefix("LLVM version: "));
    let major = llvm.and_then(|version| version.split('.').next()).and_then(|major| major.parse::<u32>().ok());
    Path::new(&sysroot).join("lib/rustlib/src/rust/library/core/Cargo.toml").exists()
        && major.is_some_and(|major| major <= LLVM)
}

/// bpf-linker, which the toolchain calls by its name.
fn linker() -> Result<(), String> {
    match clean(&mut Command::new("bpf-linker")).arg("--version").output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("bpf-linker does not run: {}", String::from_utf8_lossy(&output.stderr))),
        Err(error) => Err(format!("bpf-linker cannot be run: {error}")),
    }
}

/// Without what cargo and rustup told this build of its own toolchain; with cargo's programs in the path.
fn clean(command: &mut Command) -> &mut Command {
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let kept = matches!(&*text, "CARGO_HOME" | "CARGO_NET_OFFLINE");
        let told = ["CARGO", "RUSTC", "RUSTDOC", "RUSTFLAGS", "RUSTUP_TOOLCHAIN", "CLIPPY"];
        if !kept && told.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")));
    if let (Some(home), Some(path)) = (home, env::var_os("PATH")) {
        let paths = env::split_paths(&path).chain([home.join("bin")]);
        if let Ok(joined) = env::join_paths(paths) {
            command.env("PATH", joined);
        }
    }
    command
}
