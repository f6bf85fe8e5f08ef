//! The project's own commands. `cargo xtask test` is the one test command: it installs or names what it needs and runs
//! everything; each part has a command of its own.

mod needs;
mod parts;
mod phones;
mod run;

use std::process::ExitCode;

use parts::{Options, PARTS};
use run::{Outcome, Report};

const USAGE: &str = "\
usage: cargo xtask <command> [options]

commands
  test            every part below, then a summary; the exit status is 0 only if all of it passed
  fmt             the source is formatted
  clippy          no lint fires, warnings included
  unit            unit tests, published vectors, whole-system tests, differential tests (cargo test --workspace)
  crash           the store is killed at random points and finds every acknowledged record again
  demo            the headless demo walks the journey over HTTP
  interop         the npm packages of OpenID4VC as a foreign wallet
  browser         the journey in headless Chromium with a virtual authenticator
  phones          the wallet library: generated sources, Kotlin on the JVM and Python against the running demo,
                  and whether the Android sources compile
  fuzz            every fuzz target for a few seconds
  deny            bans, licences and sources of the dependencies (needs cargo-deny)
  bench           the benchmarks, `ssi` included
  size            the wallet library in the profile `mobile`: its size, and what takes most of it
  load            whole journeys against both services for twice half a minute (release build)

options
  --skip PART     leave a part of `test` out (may be repeated)
  --seconds N     fuzz: seconds for each target (default 5)
  --target NAME   fuzz: only this target
  --no-oracles    unit, bench: without the comparison with other libraries (saves their long build)
";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(command) = arguments.next() else {
        print!("{USAGE}");
        return ExitCode::FAILURE;
    };
    let options = match Options::parse(arguments) {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("{problem}\n\n{USAGE}");
            return ExitCode::FAILURE;
        }
    };
    if let Err(problem) = std::env::set_current_dir(parts::root()) {
        eprintln!("the repository's root cannot be entered: {problem}");
        return ExitCode::FAILURE;
    }
    let mut report = Report::default();
    match command.as_str() {
        "test" => {
            for (name, part) in PARTS {
                if options.skip.iter().any(|skipped| skipped == name) {
                    report.add(name, Outcome::Skipped("left out with --skip".to_owned()));
                } else {
                    report.run(name, || part(&options));
                }
            }
        }
        "bench" => report.run("bench", || parts::bench(&options)),
        "size" => report.run("size", || phones::size(&options)),
        "load" => report.run("load", || parts::load(&options)),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        name => match PARTS.iter().find(|(part, _)| *part == name) {
            Some((name, part)) => report.run(name, || part(&options)),
            None => {
                eprintln!("there is no command {name}\n\n{USAGE}");
                return ExitCode::FAILURE;
            }
        },
    }
    report.print();
    if report.all_passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
