//! The parts of the test command, each a function from the options to an outcome.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::needs;
use crate::phones::phones;
use crate::run::{Counts, Outcome, run};

/// A part of the test command.
pub type Part = fn(&Options) -> Outcome;

/// Every part of `cargo xtask test`, in order.
pub const PARTS: &[(&str, Part)] = &[
    ("fmt", fmt),
    ("clippy", clippy),
    ("unit", unit),
    ("crash", crash),
    ("demo", demo),
    ("interop", interop),
    ("browser", browser),
    ("phones", phones),
    ("fuzz", fuzz),
    ("deny", deny),
];

/// What stands behind the command.
#[derive(Debug)]
pub struct Options {
    /// Parts to leave out.
    pub skip: Vec<String>,
    /// Seconds for each fuzz target.
    pub seconds: u32,
    /// The only fuzz target to run.
    pub target: Option<String>,
    /// Whether the libraries that ours is compared with are built.
    pub oracles: bool,
}

impl Options {
    /// Reads the arguments.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self { skip: Vec::new(), seconds: 5, target: None, oracles: true };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--skip" => {
                    let part = value()?;
                    if !PARTS.iter().any(|(name, _)| *name == part) {
                        return Err(format!("there is no part {part}"));
                    }
                    options.skip.push(part);
                }
                "--seconds" => {
                    options.seconds = value()?.parse().map_err(|_| "--seconds needs a number".to_owned())?;
                }
                "--target" => options.target = Some(value()?),
                "--no-oracles" => options.oracles = false,
                _ => return Err(format!("there is no option {argument}")),
            }
        }
        Ok(options)
    }
}

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The folder where cargo puts what it builds, and this program too.
///
/// # Errors
/// This program lies somewhere else.
pub fn target_folder() -> Result<PathBuf, String> {
    let here = std::env::current_exe().map_err(|problem| problem.to_string())?;
    here.ancestors().nth(2).map(Path::to_owned).ok_or_else(|| "no target folder".to_owned())
}

/// A call of cargo.
pub fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments);
    command
}

/// What a result means for the report.
pub fn outcome(result: Result<Counts, String>) -> Outcome {
    result.map_or_else(Outcome::Failed, Outcome::Ran)
}

fn fmt(_: &Options) -> Outcome {
    outcome(run(cargo(&["fmt", "--all", "--check"]), 5))
}

fn clippy(_: &Options) -> Outcome {
    outcome(run(cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]), 30))
}

fn unit(options: &Options) -> Outcome {
    let all = cargo(&["test", "--workspace", "--exclude", "carekey-storage", "--no-fail-fast", "--quiet"]);
    outcome(run(all, 40).and_then(|counts| {
        if !options.oracles {
            return Ok(counts);
        }
        // Apart from the rest: what the other libraries switch on in shared dependencies must not reach our own tests.
        let features = if needs::openssl() { "openssl-oracles" } else { "vendored-openssl" };
        let mut oracles = cargo(&["test", "--package", "carekey-tests", "--features", features, "--quiet"]);
        oracles.args([
            "--test",
            "webauthn_differential",
            "--test",
            "ssi_differential",
            "--test",
            "ssi_suites",
        ]);
        oracles.args(["--test", "jose_differential", "--test", "foreign_suites"]);
        // The services with `foreign-suites` built in, and with it serde_json's arbitrary_precision.
        for ours in ["issue_hold_present_verify", "rejections", "w3c_formats", "w3c_rejections"] {
            oracles.args(["--test", ours]);
        }
        Ok(counts.plus(run(oracles, 30)?))
    }))
}

/// The store: its contract, a child process killed over and over, and what strace sees.
fn crash(_: &Options) -> Outcome {
    if let Err(missing) = needs::program(&["strace"], "strace") {
        return Outcome::Failed(missing);
    }
    outcome(run(cargo(&["test", "--quiet", "--package", "carekey-storage"]), 20))
}

/// Builds the program that the outside tests drive.
///
/// # Errors
/// It does not build.
pub fn carekey() -> Result<PathBuf, String> {
    let built = run(cargo(&["build", "--quiet", "--package", "carekey"]), 30)?;
    if built.failed > 0 {
        return Err("carekey does not build".to_owned());
    }
    Ok(target_folder()?.join("debug").join("carekey"))
}

fn demo(_: &Options) -> Outcome {
    outcome(carekey().and_then(|program| {
        let mut command = Command::new(program);
        command.args(["demo", "--headless"]);
        run(command, 5)
    }))
}

/// `npm ci` in a folder under `tests/`; returns Node and the folder.
pub fn node_packages(folder: &str) -> Result<(PathBuf, PathBuf), String> {
    let node = needs::node()?;
    let folder = root().join("tests").join(folder);
    let mut npm = Command::new("npm");
    npm.args(["ci", "--no-audit", "--no-fund", "--loglevel", "error"]).current_dir(&folder);
    if run(npm, 10)?.failed > 0 {
        return Err(format!("npm ci failed in {}", folder.display()));
    }
    Ok((node, folder))
}

/// `npm ci` and the tests of a folder under `tests/`.
fn node_tests(folder: &str, environment: &[(&str, &Path)]) -> Result<Counts, String> {
    let (node, folder) = node_packages(folder)?;
    let mut command = Command::new(node);
    command.args(["--test", "--test-reporter", "tap"]).current_dir(&folder);
    for (name, value) in environment {
        command.env(name, value);
    }
    run(command, 10)
}

fn interop(_: &Options) -> Outcome {
    outcome(carekey().and_then(|program| {
        let wallet = example("wallet")?;
        let results = target_folder()?.join("interop-results.jsonl");
        // What an earlier run recorded says nothing about this one.
        std::fs::write(&results, "").map_err(|problem| format!("{}: {problem}", results.display()))?;
        let environment: [(&str, &Path); 3] =
            [("CAREKEY", &program), ("WALLET", &wallet), ("INTEROP_RESULTS", &results)];
        let counts = node_tests("interop", &environment)?;
        let mut matrix = Command::new(needs::node()?);
        matrix.arg("matrix.mjs").current_dir(root().join("tests").join("interop"));
        matrix.env("INTEROP_RESULTS", &results);
        Ok(counts.plus(run(matrix, 1)?).plus(foreign_credentials()?))
    }))
}

/// Builds an example of the whole-system tests.
fn example(name: &str) -> Result<PathBuf, String> {
    let built = run(cargo(&["build", "--quiet", "--package", "carekey-tests", "--example", name]), 30)?;
    if built.failed > 0 {
        return Err(format!("the example {name} does not build"));
    }
    Ok(target_folder()?.join("debug").join("examples").join(name))
}

/// Credentials of ours with published libraries for Node and Python, and theirs with us.
fn foreign_credentials() -> Result<Counts, String> {
    let program = example("securing")?;
    let counts = node_tests("foreign", &[("SECURING", &program)])?;
    let folder = root().join("tests").join("foreign");
    let mut command = Command::new(python(&folder.join("requirements.txt"))?);
    command.arg("credentials.py").current_dir(&folder).env("SECURING", &program);
    Ok(counts.plus(run(command, 5)?))
}

/// The interpreter of a virtual environment that has these packages and no others.
fn python(requirements: &Path) -> Result<PathBuf, String> {
    let folder = target_folder()?.join("foreign-python");
    let interpreter = folder.join("bin").join("python");
    if !interpreter.exists() {
        let mut create = Command::new(needs::python()?);
        create.args(["-m", "venv", "--clear"]).arg(&folder);
        if run(create, 5)?.failed > 0 {
            return Err("python cannot make a virtual environment: install python3-venv".to_owned());
        }
    }
    let mut install = Command::new(&interpreter);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]);
    install.arg(requirements);
    match run(install, 10)?.failed {
        0 => Ok(interpreter),
        _ => Err(format!("pip install failed for {}", requirements.display())),
    }
}

fn browser(_: &Options) -> Outcome {
    outcome(needs::chromium().and_then(|chromium| {
        let program = carekey()?;
        let wallet = example("wallet")?;
        node_tests("browser", &[("CAREKEY", &program), ("WALLET", &wallet), ("CHROME", &chromium)])
    }))
}

/// What libFuzzer needs from the compiler, as `cargo fuzz --sanitizer none` sets it; works on stable Rust.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing";

fn fuzz(options: &Options) -> Outcome {
    if let Err(missing) = needs::program(&["c++", "g++", "clang++"], "g++") {
        return Outcome::Skipped(format!("libFuzzer needs a C++ compiler: {missing}"));
    }
    outcome(fuzz_targets(options))
}

fn fuzz_targets(options: &Options) -> Result<Counts, String> {
    let folder = root().join("tests").join("fuzz");
    let version = needs::output("rustc", &["-vV"]).ok_or("rustc does not run")?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).ok_or("rustc names no host")?;
    let target_folder = target_folder()?.join("fuzz");
    // With --target the flags do not reach build scripts, which have no fuzzer to link with.
    let mut build = cargo(&["build", "--release", "--quiet", "--bins", "--target", host]);
    build.current_dir(&folder).env("RUSTFLAGS", COVERAGE).env("CARGO_TARGET_DIR", &target_folder);
    if run(build, 30)?.failed > 0 {
        return Err("the fuzz targets do not build".to_owned());
    }
    let mut names: Vec<String> = std::fs::read_dir(folder.join("src/bin"))
        .map_err(|problem| problem.to_string())?
        .filter_map(|entry| entry.ok()?.path().file_stem()?.to_str().map(str::to_owned))
        .filter(|name| options.target.as_ref().is_none_or(|only| only == name))
        .collect();
    names.sort();
    if names.is_empty() {
        return Err("there is no such fuzz target".to_owned());
    }
    let mut counts = Counts::default();
    for name in names {
        // New finds go to a folder outside the repository; the seeds are only read.
        let found = target_folder.join("corpus").join(&name);
        let artifacts = folder.join("artifacts").join(&name);
        for needed in [&found, &artifacts] {
            std::fs::create_dir_all(needed).map_err(|problem| problem.to_string())?;
        }
        let mut command = Command::new(target_folder.join(host).join("release").join(&name));
        command
            .arg(format!("-max_total_time={}", options.seconds))
            .arg(format!("-artifact_prefix={}/", artifacts.display()))
            .args(["-timeout=10", "-rss_limit_mb=2048", "-max_len=65536"])
            .arg(&found)
            .arg(folder.join("corpus").join(&name));
        let log = target_folder.join(format!("{name}.log"));
        command.stderr(std::fs::File::create(&log).map_err(|problem| problem.to_string())?);
        let ended = run(command, u64::from(options.seconds / 60 + 5))?;
        let log = std::fs::read_to_string(&log).unwrap_or_default();
        if ended.failed > 0 {
            println!("{log}");
        }
        // libFuzzer ends with "Done 12345 runs in 5 second(s)".
        let done = log.lines().rfind(|line| line.starts_with("Done ")).unwrap_or("no end");
        let state = if ended.failed == 0 { "ok" } else { "FAILED, see tests/fuzz/artifacts" };
        println!("fuzz {name}: {state}: {done}");
        counts = counts.plus(ended);
    }
    Ok(counts)
}

fn deny(_: &Options) -> Outcome {
    if needs::find(&["cargo-deny"]).is_none() {
        return Outcome::Skipped("cargo-deny is not installed (cargo install cargo-deny)".to_owned());
    }
    outcome(run(cargo(&["deny", "check", "bans", "licenses", "sources"]), 10))
}

/// `cargo bench` with the libraries that ours is compared with.
pub fn bench(options: &Options) -> Outcome {
    // Beside them, where there is Node, Digital Bazaar's library.
    if let Err(missing) = node_packages("foreign") {
        println!("without the libraries for Node: {missing}");
    }
    let mut command = cargo(&["bench", "--package", "carekey-tests"]);
    if options.oracles {
        command.args(["--features", "oracles"]);
    }
    outcome(run(command, 60))
}

/// Both services in release builds under the load of whole journeys.
pub fn load(_: &Options) -> Outcome {
    let built = run(cargo(&["build", "--release", "--quiet", "--package", "carekey"]), 60);
    outcome(built.and_then(|counts| {
        if counts.failed > 0 {
            return Err("carekey does not build".to_owned());
        }
        let mut command =
            cargo(&["run", "--release", "--quiet", "--package", "carekey-tests", "--example", "load"]);
        command.env("CAREKEY", target_folder()?.join("release").join("carekey"));
        run(command, 60)
    }))
}
