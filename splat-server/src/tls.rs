//! Which cryptography TLS uses: rustls with ring, chosen once for the whole process.

/// Chooses it, where nobody has chosen before. To be called before the first HTTPS client is built.
pub fn install_provider() {
    // An error says that there is one already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
