//! `carekey did`: the DID on the web of an issuer, by its configuration file.

use std::path::PathBuf;

use carekey_core::clock::SystemClock;
use carekey_core::random::SystemRandom;
use carekey_issuer::did::OwnDid;
use carekey_service::keys::ServiceKeys;
use carekey_service::{config, keys};
use clap::{Args, Subcommand};
use serde_json::json;
use url::Url;

use crate::servers::Failure;

/// What to do with the DID.
#[derive(Debug, Subcommand)]
pub(crate) enum DidCommand {
    /// Make the DID where it is missing (the issuer's first start does so too), and show it.
    Create(IssuerFile),
    /// Show the DID, its keys and its document.
    Show(IssuerFile),
    /// Publish a new signing key beside the old ones; the issuer signs with it from its next start on.
    Rotate {
        #[command(flatten)]
        issuer: IssuerFile,
        /// Take this key out of the document: nothing that it signed verifies any longer.
        #[arg(long, value_name = "NAME")]
        forget: Option<String>,
    },
    /// End the DID for ever: no credential that was issued under it verifies any longer.
    Deactivate {
        #[command(flatten)]
        issuer: IssuerFile,
        /// The DID, as a sign that this is meant.
        #[arg(long, value_name = "DID")]
        confirm: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct IssuerFile {
    /// The issuer's TOML file; the environment (CAREKEY_ISSUER__…) overrides it.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// Runs one command and prints the DID as it is then, as JSON.
pub(crate) fn run(command: &DidCommand) -> Result<(), Failure> {
    let (DidCommand::Create(issuer)
    | DidCommand::Show(issuer)
    | DidCommand::Rotate { issuer, .. }
    | DidCommand::Deactivate { issuer, .. }) = command;
    let may_create = matches!(command, DidCommand::Create(_));
    let mut own = open(issuer, may_create)?;
    match command {
        DidCommand::Create(_) | DidCommand::Show(_) => {}
        DidCommand::Rotate { forget, .. } => {
            own.rotate(&SystemClock, forget.as_deref()).map_err(Failure::new)?;
        }
        DidCommand::Deactivate { confirm, .. } if confirm != own.did().as_str() => {
            return Err(Failure::new(format!("--confirm is not the DID of this issuer, {}", own.did())));
        }
        DidCommand::Deactivate { .. } => own.deactivate(&SystemClock).map_err(Failure::new)?,
    }
    let shown = json!({
        "did": own.did().as_str(),
        "keys": own.key_names(),
        "deactivated": own.is_deactivated(),
        "document": own.document().map_err(Failure::new)?,
    });
    println!("{shown:#}");
    Ok(())
}

/// The configuration of an issuer, its data folder, its URL and its signing key, which is made where it is missing.
pub(crate) fn issuer_keys(
    issuer: &IssuerFile,
) -> Result<(carekey_issuer::Config, PathBuf, Url, ServiceKeys), Failure> {
    let file = issuer.config.as_path();
    let config: carekey_issuer::Config = config::load(Some(file), "CAREKEY_ISSUER").map_err(Failure::new)?;
    let data = config::resolve(Some(file), &config.data_dir);
    let url = public_url(&config)?;
    std::fs::create_dir_all(&data).map_err(|error| Failure::new(format!("{}: {error}", data.display())))?;
    let keys = keys::load_or_create(&data, &url, &SystemRandom, &SystemClock).map_err(Failure::new)?;
    Ok((config, data, url, keys))
}

fn open(issuer: &IssuerFile, may_create: bool) -> Result<OwnDid, Failure> {
    let (config, data, url, keys) = issuer_keys(issuer)?;
    if !may_create && !data.join("did").exists() {
        return Err(Failure::new("there is no DID yet: `carekey did create` makes it"));
    }
    let signer = keys.signer();
    let own = OwnDid::open(&data, config.issuer.key, &url, signer.public_key(), &SystemClock);
    let own = own.map_err(Failure::new)?;
    own.ok_or_else(|| Failure::new("key `issuer.key`: must be did_web or did_webvh for a DID on the web"))
}

fn public_url(config: &carekey_issuer::Config) -> Result<Url, Failure> {
    match (&config.server.public_url, config.server.listen.port()) {
        (Some(url), _) => Ok(url.clone()),
        (None, 0) => {
            Err(Failure::new("key `server.public_url`: a DID on the web needs an address that stays"))
        }
        (None, port) => {
            let scheme = if config.server.tls.is_some() { "https" } else { "http" };
            Url::parse(&format!("{scheme}://localhost:{port}")).map_err(Failure::new)
        }
    }
}
