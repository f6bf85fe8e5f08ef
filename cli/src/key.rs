//! `carekey key`: the signing key of an issuer that names it by a certificate or in `/.well-known/jwt-vc-issuer`.

use carekey_issuer::rotation::SigningKeys;
use clap::Subcommand;
use serde_json::json;

use crate::did::{IssuerFile, issuer_keys};
use crate::servers::Failure;

/// What to do with the key.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Show the name of the key that signs, and of those before it that stay published.
    Show(IssuerFile),
    /// Put a new key in its place; the issuer signs with it from its next start on, and what was issued stays verifiable.
    Rotate(IssuerFile),
    /// Take an earlier key out of `/.well-known/jwt-vc-issuer`: what it signed no longer verifies by that document.
    Forget {
        #[command(flatten)]
        issuer: IssuerFile,
        /// Its name, as `show` prints it.
        #[arg(long, value_name = "NAME")]
        name: String,
    },
}

/// Runs one command and prints the keys as they are then, as JSON.
pub(crate) fn run(command: &KeyCommand) -> Result<(), Failure> {
    let (KeyCommand::Show(issuer) | KeyCommand::Rotate(issuer) | KeyCommand::Forget { issuer, .. }) = command;
    let (config, data, _, keys) = issuer_keys(issuer)?;
    let signer = keys.signer();
    let mut own = SigningKeys::open(&data, config.issuer.key, signer.public_key()).map_err(Failure::new)?;
    match command {
        KeyCommand::Show(_) => {}
        KeyCommand::Rotate(_) => own.rotate().map_err(Failure::new)?,
        KeyCommand::Forget { name, .. } => own.forget(name).map_err(Failure::new)?,
    }
    println!("{:#}", json!({"current": own.current(), "earlier": own.earlier()}));
    Ok(())
}
