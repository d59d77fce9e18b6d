//! The cryptography provider of TLS: rustls with ring, installed once per process.

/// Installs the provider, unless there is one already. Must be called before the first HTTPS client is built.
pub fn install_provider() {
    // Fails if a provider is already installed, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
