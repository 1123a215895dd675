//! TLS by configuration: a certificate and its key in PEM files, read again at a hang-up signal, so that a renewed certificate
//! needs no restart.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use arc_swap::ArcSwap;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;

/// Where the certificate is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// The certificate that new connections are shown.
#[derive(Clone)]
pub struct Tls {
    files: TlsFiles,
    config: Arc<ArcSwap<ServerConfig>>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// When they cannot be read, or do not belong together.
    pub fn open(files: TlsFiles) -> anyhow::Result<Self> {
        let config = Arc::new(ArcSwap::from_pointee(read(&files)?));
        Ok(Self { files, config })
    }

    /// Reads the files again. Connections that are open stay as they are.
    ///
    /// # Errors
    /// As in [`Tls::open`]; then the certificate from before is shown on.
    pub fn reload(&self) -> anyhow::Result<()> {
        self.config.store(Arc::new(read(&self.files)?));
        Ok(())
    }

    /// For one connection.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.load_full())
    }
}

fn read(files: &TlsFiles) -> anyhow::Result<ServerConfig> {
    let certificate = files.certificate.display();
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("LAYERS_TLS_CERT: {certificate} cannot be read"))?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .with_context(|| format!("LAYERS_TLS_KEY: {} cannot be read", files.key.display()))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .with_context(|| format!("LAYERS_TLS_CERT: {certificate} is not the certificate of LAYERS_TLS_KEY"))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
