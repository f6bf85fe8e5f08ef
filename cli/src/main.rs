//! The CareKey program: `carekey` starts the demo, `carekey issuer` and `carekey verifier` run one server for real,
//! `carekey did` and `carekey key` keep an issuer's DID and signing key.
#![allow(clippy::print_stdout, clippy::print_stderr)] // a program for people says what it does

mod args;
mod conformance;
mod demo;
mod did;
mod jose_cose;
mod key;
mod servers;

use std::process::ExitCode;

use clap::Parser;

use args::{Arguments, Command};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("carekey: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(async {
        match arguments.command {
            None => demo::run(arguments.demo).await,
            Some(Command::Demo(demo)) => demo::run(demo).await,
            Some(Command::Issuer { config }) => servers::issuer(&config).await,
            Some(Command::Verifier { config }) => servers::verifier(&config).await,
            Some(Command::Did(command)) => did::run(&command),
            Some(Command::Key(command)) => key::run(&command),
            Some(Command::JoseCose(command)) => jose_cose::run(&command),
            Some(Command::Conformance(arguments)) => conformance::run(arguments).await,
        }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("carekey: {error}");
            ExitCode::FAILURE
        }
    }
}
