//! Child processes with a time limit, their counts, and the summary.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How a part ended.
#[derive(Debug)]
pub enum Outcome {
    /// It ran: how many tests passed and how many failed.
    Ran(Counts),
    /// It did not run, for this reason; not a failure.
    Skipped(String),
    /// It could not run, for this reason: a failure.
    Failed(String),
}

/// Tests of one part.
#[derive(Debug, Default, Clone, Copy)]
pub struct Counts {
    /// Tests that passed.
    pub passed: u64,
    /// Tests that failed.
    pub failed: u64,
}

impl Counts {
    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        Self { passed: self.passed + other.passed, failed: self.failed + other.failed }
    }

    /// Reads the counts that a line of a test program may hold.
    fn in_line(line: &str) -> Self {
        let number = |text: &str| text.trim().parse::<u64>().ok();
        let mut counts = Self::default();
        // cargo test: "test result: ok. 3 passed; 0 failed; …"
        if let Some(rest) = line.strip_prefix("test result: ") {
            for part in rest.split(['.', ';']) {
                if let Some(n) = part.strip_suffix(" passed").and_then(number) {
                    counts.passed = n;
                } else if let Some(n) = part.strip_suffix(" failed").and_then(number) {
                    counts.failed = n;
                }
            }
        // node --test --test-reporter tap: "# pass 3", "# fail 0"
        } else if let Some(n) = line.strip_prefix("# pass ").and_then(number) {
            counts.passed = n;
        } else if let Some(n) = line.strip_prefix("# fail ").and_then(number) {
            counts.failed = n;
        // Maven's total: "[INFO] Tests run: 3, Failures: 0, Errors: 0, Skipped: 0"; lines of one class go on
        } else if let Some((_, rest)) =
            line.split_once("] Tests run: ").filter(|_| !line.contains("Time elapsed"))
        {
            let of = |name: &str| rest.split(", ").find_map(|part| part.strip_prefix(name)).and_then(number);
            counts.failed = of("Failures: ").unwrap_or(0) + of("Errors: ").unwrap_or(0);
            let run = rest.split(',').next().and_then(number).unwrap_or(0);
            counts.passed = run.saturating_sub(counts.failed + of("Skipped: ").unwrap_or(0));
        // pytest -q: "1 failed, 3 passed in 0.12s"
        } else if let Some((parts, _)) = line
            .rsplit_once(" in ")
            .filter(|(_, time)| time.split(' ').next().is_some_and(|time| time.ends_with('s')))
        {
            for part in parts.split(", ") {
                match part.split_once(' ') {
                    Some((n, "passed")) => counts.passed = number(n).unwrap_or(0),
                    Some((n, "failed" | "error" | "errors")) => counts.failed += number(n).unwrap_or(0),
                    _ => {}
                }
            }
        }
        counts
    }
}

/// Runs `command` to its end, shows what it prints and counts its tests; a command without counts is one test.
///
/// # Errors
/// It cannot be started, or runs longer than `minutes` (it is then killed).
pub fn run(mut command: Command, minutes: u64) -> Result<Counts, String> {
    let shown = format!("{command:?}").replace('"', "");
    println!("$ {shown}");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|problem| format!("{shown}: {problem}"))?;
    let reader = child.stdout.take().map(|stdout| {
        std::thread::spawn(move || {
            let mut counts = Counts::default();
            for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line);
                println!("{line}");
                counts = counts.plus(Counts::in_line(&line));
            }
            counts
        })
    });
    let status = wait(&mut child, Duration::from_secs(minutes * 60))
        .map_err(|problem| format!("{shown}: {problem}"))?;
    let mut counts = reader.and_then(|reader| reader.join().ok()).unwrap_or_default();
    if counts.passed + counts.failed == 0 && status {
        counts.passed = 1;
    }
    if !status && counts.failed == 0 {
        counts.failed = 1;
    }
    Ok(counts)
}

/// Whether the child ended well; kills it at the limit.
fn wait(child: &mut Child, limit: Duration) -> Result<bool, String> {
    let start = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status.success()),
            Ok(None) if start.elapsed() > limit => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("killed after {} minutes", limit.as_secs() / 60));
            }
            Ok(None) => std::thread::sleep(Duration::from_millis(50)),
            Err(problem) => return Err(problem.to_string()),
        }
    }
}

/// All parts and how they ended.
#[derive(Debug, Default)]
pub struct Report {
    parts: Vec<(&'static str, Outcome, Duration)>,
}

impl Report {
    /// Runs a part and keeps its outcome.
    pub fn run(&mut self, name: &'static str, part: impl FnOnce() -> Outcome) {
        println!("\n== {name}");
        let start = Instant::now();
        let outcome = part();
        self.parts.push((name, outcome, start.elapsed()));
    }

    /// Keeps an outcome.
    pub fn add(&mut self, name: &'static str, outcome: Outcome) {
        self.parts.push((name, outcome, Duration::ZERO));
    }

    /// Whether nothing failed and something ran.
    pub fn all_passed(&self) -> bool {
        let counts = self.counts();
        counts.failed == 0 && counts.passed > 0
    }

    fn counts(&self) -> Counts {
        let of = |outcome: &Outcome| match outcome {
            Outcome::Ran(counts) => *counts,
            Outcome::Skipped(_) => Counts::default(),
            Outcome::Failed(_) => Counts { passed: 0, failed: 1 },
        };
        self.parts.iter().map(|(_, outcome, _)| of(outcome)).fold(Counts::default(), Counts::plus)
    }

    /// The summary: a table, a line for each part that did not run, and the totals alone on the last line.
    pub fn print(&self) {
        println!("\n{:<10} {:<8} {:>7} {:>7} {:>8}", "part", "result", "passed", "failed", "seconds");
        for (name, outcome, time) in &self.parts {
            let (result, passed, failed) = match outcome {
                Outcome::Ran(Counts { passed, failed: 0 }) => ("ok", *passed, 0),
                Outcome::Ran(counts) => ("FAILED", counts.passed, counts.failed),
                Outcome::Skipped(_) => ("skipped", 0, 0),
                Outcome::Failed(_) => ("FAILED", 0, 1),
            };
            println!("{name:<10} {result:<8} {passed:>7} {failed:>7} {:>8}", time.as_secs());
        }
        for (name, outcome, _) in &self.parts {
            match outcome {
                Outcome::Skipped(reason) => println!("skipped: {name}: {reason}"),
                Outcome::Failed(reason) => println!("failed: {name}: {reason}"),
                Outcome::Ran(_) => {}
            }
        }
        let Counts { passed, failed } = self.counts();
        println!("{passed} passed, {failed} failed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_from_what_test_programs_print() {
        for (line, passed, failed) in [
            ("test result: ok. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out", 3, 1),
            ("# pass 7", 7, 0),
            ("# fail 2", 0, 2),
            ("[INFO] Tests run: 5, Failures: 1, Errors: 1, Skipped: 1", 2, 2),
            ("[INFO] Tests run: 5, Failures: 0, Errors: 0, Skipped: 0, Time elapsed: 1.2 s -- in A", 0, 0),
            ("4 passed in 0.12s", 4, 0),
            ("1 failed, 3 passed, 1 error in 70.12s (0:01:10)", 3, 2),
            ("1 failed, 3 passed, 1 error in 10.12s", 3, 2),
            ("compiled in 3 s", 0, 0),
        ] {
            let counts = Counts::in_line(line);
            assert_eq!((counts.passed, counts.failed), (passed, failed), "{line}");
        }
    }
}
