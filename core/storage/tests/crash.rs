//! A process that writes is killed with SIGKILL at random points, 120 times: every acknowledged record is there again,
//! no batch is there in part, and nothing taken returns. And, where strace is installed: between the write of a record
//! and its acknowledgement the kernel is told to bring the log to the disk.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods)]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use carekey_core::random::{Random, SystemRandom};
use carekey_core::store::{Expect, Store, Table, Write, take};
use carekey_storage::SledStore;

const ROUNDS: usize = 120;
const WRITERS: usize = 6;
const FOLDER: &str = "CAREKEY_CRASH_FOLDER";
const ROUND: &str = "CAREKEY_CRASH_ROUND";

const RECORDS: Table = Table::new("records");
const LEFT: Table = Table::new("left");
const RIGHT: Table = Table::new("right");
const CODES: Table = Table::new("codes");

/// Not every value is short, and none is like another.
fn value(key: &str) -> Vec<u8> {
    let length = key.bytes().map(usize::from).sum::<usize>() % 900 + 1;
    key.bytes().cycle().take(length).collect()
}

fn say(line: &str) {
    // One write call per line, so that a line is acknowledged as a whole or not at all.
    let line = format!("{line}\n");
    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
}

/// The writing process: this test binary started once more by the tests below.
#[test]
fn child() {
    let (Ok(folder), Ok(round)) = (std::env::var(FOLDER), std::env::var(ROUND)) else { return };
    let writers = if round == "strace" { 1 } else { WRITERS };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Arc::new(SledStore::open(Path::new(&folder)).unwrap());
        say("\nack ready");
        let tasks: Vec<_> =
            (0..writers).map(|n| tokio::spawn(write(Arc::clone(&store), format!("{round}-{n}")))).collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

async fn write(store: Arc<SledStore>, name: String) {
    let put = |table, key: &str| Write::put(table, key, Expect::Absent, value(key), None);
    for n in 0..if name.starts_with("strace") { 20 } else { usize::MAX } {
        let key = format!("{name}-{n}");
        match n % 4 {
            0 | 1 => {
                store.commit(vec![put(RECORDS, &key)]).await.unwrap();
                say(&format!("ack record {key}"));
            }
            2 => {
                store.commit(vec![put(LEFT, &key), put(RIGHT, &key)]).await.unwrap();
                say(&format!("ack pair {key}"));
            }
            _ => {
                store.commit(vec![put(CODES, &key)]).await.unwrap();
                say(&format!("ack code {key}"));
                assert!(take(&*store, CODES, &key).await.unwrap().is_some());
                say(&format!("ack taken {key}"));
            }
        }
    }
}

fn command(folder: &Path, round: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--nocapture", "--test-threads", "1"]);
    command.env(FOLDER, folder).env(ROUND, round);
    command
}

/// What was acknowledged, over all rounds: key → the last word on it.
type Acknowledged = HashMap<String, String>;

fn run_and_kill(folder: &Path, round: &str, acknowledged: &mut Acknowledged) -> usize {
    let mut child = command(folder, round).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while lines.next().unwrap().unwrap() != "ack ready" {}
    let random: &dyn Random = &SystemRandom;
    let micros = u64::from(u16::from_be_bytes(random.array()));
    let killer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_micros(micros));
        child.kill().unwrap();
        child.wait().unwrap();
    });
    let mut count = 0;
    for line in lines.map_while(Result::ok) {
        let words: Vec<&str> = line.split(' ').collect();
        if let ["ack", kind, key] = words[..] {
            acknowledged.insert(key.to_owned(), kind.to_owned());
            count += 1;
        }
    }
    killer.join().unwrap();
    count
}

async fn check(store: &SledStore, acknowledged: &Acknowledged) {
    for (key, kind) in acknowledged {
        let found = async |table| store.read(table, key.as_bytes()).await.unwrap().map(|record| record.value);
        match kind.as_str() {
            "record" => assert_eq!(found(RECORDS).await, Some(value(key)), "{key}"),
            "pair" => {
                assert_eq!(found(LEFT).await, Some(value(key)), "{key}");
                assert_eq!(found(RIGHT).await, Some(value(key)), "{key}");
            }
            "taken" => assert_eq!(found(CODES).await, None, "{key} returned"),
            // Its taking may have become durable without having been acknowledged.
            _ => {}
        }
    }
    let left = store.scan(LEFT, None, usize::MAX).await.unwrap();
    let right = store.scan(RIGHT, None, usize::MAX).await.unwrap();
    let keys = |page: &[(Vec<u8>, _)]| page.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
    assert_eq!(keys(&left), keys(&right), "a batch is there in part");
}

#[test]
fn every_acknowledged_record_survives_sigkill() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut total = 0;
    let mut killed_while_writing = 0;
    let mut rounds = 0;
    // A fresh store now and then, so that young and old ones are both killed.
    for generation in 0..ROUNDS.div_ceil(20) {
        let folder = tempfile::tempdir().unwrap();
        let mut acknowledged = Acknowledged::new();
        for round in 0..20 {
            let count = run_and_kill(folder.path(), &format!("{generation}.{round}"), &mut acknowledged);
            total += count;
            killed_while_writing += usize::from(count > 0);
            rounds += 1;
            let store = SledStore::open(folder.path()).unwrap();
            runtime.block_on(check(&store, &acknowledged));
        }
    }
    println!(
        "{rounds} kills, {killed_while_writing} of them after the first acknowledgement; {total} acknowledged, none lost"
    );
    assert!(rounds >= 100 && killed_while_writing >= 50, "{killed_while_writing} of {rounds}");
}

#[test]
fn the_kernel_syncs_between_write_and_acknowledgement() {
    if Command::new("strace").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
        println!("skipped: strace absent");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (data, trace) = (folder.path().join("store"), folder.path().join("trace"));
    let inner = command(&data, "strace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-qq", "-e", "trace=write,pwrite64,fdatasync,fsync", "-e", "signal=none", "-o"]);
    strace.arg(&trace).arg(inner.get_program()).args(inner.get_args());
    strace.env(FOLDER, &data).env(ROUND, "strace").stdout(Stdio::null()).stderr(Stdio::null());
    if !strace.status().unwrap().success() {
        println!("skipped: strace may not trace here");
        return;
    }
    let log = format!("<{}>", data.canonicalize().unwrap().join("db").display());
    let mut state = "nothing";
    let mut checked = 0;
    for line in std::fs::read_to_string(&trace).unwrap().lines() {
        let ours = line.contains(&log);
        if ours && line.contains("pwrite64(") {
            state = "written";
        } else if ours && line.contains("fdatasync(") && state == "written" {
            state = if line.contains("unfinished") { "syncing" } else { "synced" };
            assert!(state != "synced" || line.ends_with("= 0"), "{line}");
        } else if state == "syncing" && line.contains("fdatasync resumed") && line.ends_with("= 0") {
            state = "synced";
        } else if line.contains("\"ack ") && !line.contains("ack ready") {
            assert_eq!(state, "synced", "acknowledged without a sync: {line}");
            state = "nothing";
            checked += 1;
        }
    }
    println!("{checked} acknowledgements, each after an fdatasync of the log");
    // 20 steps, every fourth with two acknowledgements.
    assert_eq!(checked, 25);
}
