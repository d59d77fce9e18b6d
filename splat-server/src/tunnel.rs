//! A public URL for the service through ngrok, with the feature `ngrok`.

use std::net::SocketAddr;

use ngrok::config::ForwarderBuilder;
use ngrok::forwarder::Forwarder;
use ngrok::prelude::EndpointInfo;
use ngrok::tunnel::HttpTunnel;
use url::Url;

/// Opens the URL and forwards it to the service's own address, until the returned value is dropped. The account's token is read
/// from `NGROK_AUTHTOKEN`. Returns ngrok's error message on failure.
pub(crate) async fn open(address: SocketAddr, domain: Option<&str>) -> Result<Forwarder<HttpTunnel>, String> {
    crate::tls::install_provider();
    let session = ngrok::Session::builder().authtoken_from_env().connect().await;
    let session = session.map_err(|error| error.to_string())?;
    let target = Url::parse(&format!("http://{address}")).map_err(|error| error.to_string())?;
    let mut endpoint = session.http_endpoint();
    if let Some(domain) = domain {
        endpoint.domain(domain);
    }
    let forwarder = endpoint.listen_and_forward(target).await.map_err(|error| error.to_string())?;
    tracing::info!(url = forwarder.url(), "the service has a public URL");
    Ok(forwarder)
}
