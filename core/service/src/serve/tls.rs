//! TLS by certificate files, read again when they change.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum_server::tls_rustls::RustlsConfig;
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::task::JoinHandle;

use super::TlsFiles;

/// How often the files are looked at: a renewed certificate is in use soon after.
const LOOK_EVERY: Duration = Duration::from_secs(60);

pub(super) fn load(files: &TlsFiles) -> io::Result<RustlsConfig> {
    Ok(RustlsConfig::from_config(Arc::new(server_config(files)?)))
}

fn server_config(files: &TlsFiles) -> io::Result<ServerConfig> {
    let fail = |path: &std::path::Path, reason: String| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{}: {reason}", path.display()))
    };
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| fail(&files.certificate, error.to_string()))?;
    let key =
        PrivateKeyDer::from_pem_file(&files.key).map_err(|error| fail(&files.key, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| fail(&files.certificate, error.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Reads the files again when they have changed; files that do not fit are logged, and the old ones stay in use.
pub(super) fn watch(tls: RustlsConfig, files: TlsFiles) -> JoinHandle<()> {
    let mut seen = changed(&files);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = changed(&files);
            if now == seen {
                continue;
            }
            match server_config(&files) {
                Ok(config) => {
                    tls.reload_from_config(Arc::new(config));
                    seen = now;
                    tracing::info!("the TLS certificate was read again");
                }
                Err(error) => tracing::warn!(%error, "the changed TLS files are not usable"),
            }
        }
    })
}

fn changed(files: &TlsFiles) -> [Option<SystemTime>; 2] {
    [&files.certificate, &files.key].map(|path| path.metadata().and_then(|data| data.modified()).ok())
}
