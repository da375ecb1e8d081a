//! The HTTP client for calls to other services.

use reqwest::redirect;

/// A client that follows no redirects, since a query may hold a secret, and uses no proxy that the
/// environment names.
///
/// It trusts the certificate authorities of the machine. Without any it cannot be built, so a service that
/// calls nobody builds none. Makes `ring` the process's TLS provider if it has none.
pub fn http_client() -> Result<reqwest::Client, reqwest::Error> {
    // An error means that the process has chosen a provider already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().redirect(redirect::Policy::none()).no_proxy().build()
}
