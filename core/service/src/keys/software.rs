//! Signing keys without a certificate, one per file: for DIDs.

use std::fs;
use std::io::{ErrorKind, Result};
use std::path::Path;

use carekey_core::encoding::base64;
use carekey_core::key::{SignatureAlgorithm, Signer, SoftwareKey};
use carekey_core::secret::Secret;

use super::{invalid, named};
use crate::private_file;

/// The key in the file `path` (PKCS#8 in base64), made at first use and readable by the owner only. Errors name the file.
pub fn load_or_create_software_key(path: &Path, algorithm: SignatureAlgorithm) -> Result<SoftwareKey> {
    match fs::read_to_string(path) {
        Ok(text) => {
            let text = Secret::new(text);
            let bytes = base64::decode(text.expose().trim()).map(Secret::new);
            let bytes = bytes.map_err(|_| invalid(path, "not base64"))?;
            let key =
                SoftwareKey::from_pkcs8(bytes.expose()).map_err(|_| invalid(path, "not a PKCS#8 key"))?;
            if key.public_key().algorithm() != algorithm {
                return Err(invalid(path, "a key of another type"));
            }
            Ok(key)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let key = SoftwareKey::generate(algorithm).map_err(std::io::Error::other)?;
            let document = key.to_pkcs8().map_err(std::io::Error::other)?;
            let text = Secret::new(base64::encode(document.expose()));
            private_file::create(path, text.expose().as_bytes())?;
            Ok(key)
        }
        Err(error) => Err(named(path, &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_once_and_of_one_type() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys").join("ed25519.key");
        let first = load_or_create_software_key(&path, SignatureAlgorithm::EdDsa).unwrap();
        let again = load_or_create_software_key(&path, SignatureAlgorithm::EdDsa).unwrap();
        assert_eq!(first.public_key(), again.public_key());
        let other = load_or_create_software_key(&path, SignatureAlgorithm::Es256).unwrap_err();
        assert!(other.to_string().contains("ed25519.key"));
        for rubbish in ["!", "AAAA"] {
            fs::write(&path, rubbish).unwrap();
            assert!(load_or_create_software_key(&path, SignatureAlgorithm::EdDsa).is_err());
        }
    }
}
