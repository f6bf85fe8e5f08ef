//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Health credentials under keys that only the patient's own user verification can use.
#[derive(Debug, Parser)]
#[command(name = "carekey", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) demo: DemoArguments,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a hospital, a wallet page and a portal on this computer (the default).
    Demo(DemoArguments),
    /// Run the issuer.
    Issuer {
        /// TOML file; the environment (CAREKEY_ISSUER__…) overrides it.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Run the verifier.
    Verifier {
        /// TOML file; the environment (CAREKEY_VERIFIER__…) overrides it.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Make, show, rotate or end the DID on the web under which an issuer signs (`did_web`, `did_webvh`).
    #[command(subcommand)]
    Did(crate::did::DidCommand),
    /// Show or rotate the signing key of an issuer that names it by a certificate or in its own metadata (`x5c`,
    /// `well_known`).
    #[command(subcommand)]
    Key(crate::key::KeyCommand),
    /// Secure or verify one W3C credential or presentation by VC-JOSE-COSE (as the W3C test suite calls it).
    #[command(subcommand)]
    JoseCose(crate::jose_cose::JoseCose),
    /// Run issuer and verifier with the open VC-API on loopback, for test suites; prints one JSON line.
    Conformance(ConformanceArguments),
}

#[derive(Debug, Args)]
pub(crate) struct ConformanceArguments {
    /// Port of the issuer; 0 takes a free one.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub(crate) issuer_port: u16,
    /// Port of the verifier; 0 takes a free one.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub(crate) verifier_port: u16,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArguments {
    /// Walk the whole journey without a browser, in a temporary folder: one JSON line per step.
    #[arg(long)]
    pub(crate) headless: bool,
    /// Where the demo keeps its records [default: the user's data folder].
    #[arg(long, value_name = "DIR", conflicts_with = "headless")]
    pub(crate) data: Option<PathBuf>,
    /// For programs: take free ports, and print addresses, management tokens and trust anchors as one JSON line.
    #[arg(long, conflicts_with = "headless")]
    pub(crate) json: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_demo_is_the_default() {
        Arguments::command().debug_assert();
        let plain = Arguments::try_parse_from(["carekey"]).unwrap();
        assert!(plain.command.is_none() && !plain.demo.headless);
        let demo = Arguments::try_parse_from(["carekey", "demo", "--headless"]).unwrap();
        assert!(matches!(demo.command, Some(Command::Demo(DemoArguments { headless: true, .. }))));
        assert!(Arguments::try_parse_from(["carekey", "--data", "/tmp/x"]).unwrap().demo.data.is_some());
        for wrong in [vec!["carekey", "issuer"], vec!["carekey", "demo", "--headless", "--data", "x"]] {
            assert!(Arguments::try_parse_from(wrong).is_err());
        }
    }
}
