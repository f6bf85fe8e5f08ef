//! The wallet library as apps use it: generated sources, Kotlin on the JVM, Python; and how large it is.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::needs;
use crate::parts::{Options, carekey, cargo, node_packages, outcome, root, target_folder};
use crate::run::{Counts, Outcome, run};

/// Generated sources are current; the scenario runs through Kotlin and Python against the running demo; the Android
/// sources compile.
pub fn phones(_: &Options) -> Outcome {
    outcome(generated().and_then(|counts| {
        let program = carekey()?;
        Ok(counts.plus(kotlin(&program)?).plus(android()?).plus(python(&program)?))
    }))
}

fn bindings() -> PathBuf {
    root().join("mobile-bindings")
}

/// Builds library and generator, and compares.
fn generated() -> Result<Counts, String> {
    let mut command = Command::new("sh");
    command.arg(bindings().join("generate.sh")).arg("--check");
    let counts = run(command, 20)?;
    if counts.failed > 0 {
        Err("the generated sources are old: run mobile-bindings/generate.sh".to_owned())
    } else {
        Ok(counts)
    }
}

fn library_folder() -> Result<PathBuf, String> {
    Ok(target_folder()?.join("debug"))
}

fn kotlin(program: &Path) -> Result<Counts, String> {
    needs::program(&["java"], "openjdk-17-jdk-headless")?;
    let maven = needs::program(&["mvn"], "maven")?;
    let mut command = Command::new(maven);
    command.args(["--batch-mode", "--no-transfer-progress", "-Dstyle.color=never", "test"]);
    command.arg(format!("-Dcarekey.library={}", library_folder()?.display()));
    command.current_dir(bindings().join("jvm")).env("CAREKEY", program);
    run(command, 15)
}

/// The hand-written Android sources compile against the published Android API.
fn android() -> Result<Counts, String> {
    let project = bindings().join("android").join("compile-check");
    let classes = project.join("target/classes");
    let _ = std::fs::remove_dir_all(&classes);
    let mut command = Command::new(needs::program(&["mvn"], "maven")?);
    command.args(["--batch-mode", "--no-transfer-progress", "-Dstyle.color=never", "compile"]);
    command.current_dir(&project);
    let counts = run(command, 15)?;
    let compiled = classes.join("health/carekey/wallet/android/AndroidKeys.class").is_file();
    if counts.failed == 0 && !compiled {
        Err("no Android source was compiled".to_owned())
    } else {
        Ok(counts)
    }
}

/// A wheel with the library, installed in an environment of its own.
fn python(program: &Path) -> Result<Counts, String> {
    let folder = target_folder()?.join("phones");
    let environment = folder.join("python");
    let interpreter = environment.join("bin/python");
    if !interpreter.is_file() {
        let python = needs::program(&["python3"], "python3")?;
        let made = || {
            let mut command = Command::new(&python);
            command.args(["-m", "venv", "--clear"]).arg(&environment);
            run(command, 5)
        };
        if made()?.failed > 0 {
            needs::install("python3-venv");
            done(made()?, "python3 -m venv (install the package python3-venv)")?;
        }
    }
    let source = bindings().join("python");
    let pip = |arguments: &[&str]| {
        let mut command = Command::new(&interpreter);
        command.args(["-m", "pip", "--disable-pip-version-check", "--quiet"]).args(arguments);
        command.current_dir(&source);
        run(command, 10)
    };
    done(pip(&["install", "--require-hashes", "-r", "requirements-test.txt"])?, "pip install")?;
    let wheels = folder.join("wheels");
    let _ = std::fs::remove_dir_all(&wheels);
    let copy = folder.join("wheel-source");
    copy_package(&source, &copy)?;
    let (from, to) = (copy.display().to_string(), wheels.display().to_string());
    done(pip(&["wheel", "--no-build-isolation", "--no-deps", "--wheel-dir", &to, &from])?, "pip wheel")?;
    let find = format!("--find-links={to}");
    let install = ["install", "--no-index", "--no-deps", "--force-reinstall", &find, "carekey-wallet"];
    done(pip(&install)?, "pip install of the wheel")?;
    // Credo-TS, for the tests that let it issue and verify.
    node_packages("interop")?;
    let mut command = Command::new(&interpreter);
    // From the tests' folder: the project's own would come before the wheel.
    command.args(["-m", "pytest", "--quiet", "-p", "no:cacheprovider"]).current_dir(source.join("tests"));
    command.env("CAREKEY", program).env("PYTHONDONTWRITEBYTECODE", "1");
    run(command, 10)
}

fn done(counts: Counts, what: &str) -> Result<(), String> {
    if counts.failed > 0 { Err(format!("{what} failed")) } else { Ok(()) }
}

/// The wheel project without its tests, with the library in its place.
fn copy_package(source: &Path, to: &Path) -> Result<(), String> {
    let told = |problem: std::io::Error| problem.to_string();
    let _ = std::fs::remove_dir_all(to);
    let package = to.join("carekey_wallet");
    std::fs::create_dir_all(&package).map_err(told)?;
    for name in ["pyproject.toml", "setup.py", "README.md"] {
        std::fs::copy(source.join(name), to.join(name)).map_err(told)?;
    }
    for entry in std::fs::read_dir(source.join("carekey_wallet")).map_err(told)? {
        let path = entry.map_err(told)?.path();
        if let (true, Some(name)) = (path.is_file(), path.file_name()) {
            std::fs::copy(&path, package.join(name)).map_err(told)?;
        }
    }
    let name = format!("{}carekey_wallet_ffi{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    // Beside the sources too: the sample runs from there.
    for place in [package, source.join("carekey_wallet")] {
        std::fs::copy(library_folder()?.join(&name), place.join(&name)).map_err(told)?;
    }
    Ok(())
}

/// The most that the library should weigh, stripped.
const AIM: u64 = 6 * 1024 * 1024;

/// Builds the library as it ships, and says how large it is and what takes most of it.
pub fn size(_: &Options) -> Outcome {
    outcome(measured())
}

fn measured() -> Result<Counts, String> {
    // Symbols stay in until their sizes are read.
    let build = ["build", "--quiet", "--package", "carekey-wallet-ffi", "--lib", "--profile", "mobile"];
    let mut build = cargo(&build);
    build.args(["--config", "profile.mobile.strip=false"]);
    done(run(build, 40)?, "the build")?;
    let library = target_folder()?.join("mobile").join("libcarekey_wallet_ffi.so");
    let stripped = library.with_extension("stripped.so");
    let (library, shown) = (library.display().to_string(), stripped.display().to_string());
    needs::output("strip", &["--strip-unneeded", "-o", &shown, &library]).ok_or("strip does not run")?;
    let sections = needs::output("size", &["-A", "-d", &shown]).ok_or("size does not run")?;
    let symbols = needs::output("nm", &["-S", "-C", "--radix=d", &library]).ok_or("nm does not run")?;
    println!("\nsections\n{}", table(sections.lines().filter_map(section)));
    println!("symbols by origin\n{}", table(symbols.lines().filter_map(symbol)));
    let bytes = std::fs::metadata(&stripped).map_err(|problem| problem.to_string())?.len();
    println!("{shown}: {bytes} bytes, {:.2} MiB", f64_of(bytes) / f64_of(1024 * 1024));
    Ok(Counts { passed: u64::from(bytes <= AIM), failed: u64::from(bytes > AIM) })
}

/// Sizes are far below the limit of what a float holds exactly.
#[allow(clippy::as_conversions, clippy::cast_precision_loss)]
fn f64_of(number: u64) -> f64 {
    number as f64
}

/// The twelve largest, summed by name.
fn table(parts: impl Iterator<Item = (String, u64)>) -> String {
    let mut sums = std::collections::BTreeMap::<String, u64>::new();
    for (name, bytes) in parts {
        *sums.entry(name).or_default() += bytes;
    }
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    sums.iter().take(12).map(|(name, bytes)| format!("  {bytes:>9}  {name}\n")).collect()
}

/// A line of `size -A`: name, bytes, address.
fn section(line: &str) -> Option<(String, u64)> {
    let mut words = line.split_whitespace();
    let name = words.next().filter(|name| name.starts_with('.'))?;
    Some((name.to_owned(), words.next()?.parse().ok()?))
}

/// A line of `nm -S -C`: address, bytes, kind, name. The origin is the crate; for C, the library's prefix.
fn symbol(line: &str) -> Option<(String, u64)> {
    let mut words = line.splitn(4, ' ');
    let bytes = words.nth(1)?.parse().ok()?;
    let kind = words.next()?;
    let name = words.next()?;
    if !matches!(kind, "t" | "T" | "r" | "R" | "d" | "D" | "w" | "W" | "v" | "V") {
        return None;
    }
    let path = name
        .trim_start_matches(['<', '&', '*', '(', '['])
        .trim_start_matches("dyn ")
        .trim_start_matches("mut ");
    let origin = match path.split_once("::") {
        Some((first, _)) => first.trim_end_matches(['>', ')']).to_owned(),
        None if name.starts_with("aws_lc") => "aws-lc (C)".to_owned(),
        None if name.contains("blst") => "blst (C)".to_owned(),
        None if name.contains("uniffi") => "uniffi scaffolding".to_owned(),
        None => "other".to_owned(),
    };
    Some((origin, bytes))
}
