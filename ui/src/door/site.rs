//! Whose request is it? Defence against other web sites that make a browser ask us: the Host must be one of ours (else
//! a page of another site could reach us under its own name, by DNS rebinding), and what the browser says of the site
//! that began the request must be us.

use std::net::IpAddr;

use axum::http::{HeaderMap, Method, Uri, header, uri::Authority};

use crate::problem::ApiError;

/// How browsers reach us.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    /// `http` or `https`, as the browser sees it.
    pub(crate) scheme: &'static str,
    /// The port in the address; `None` where a proxy chooses it.
    pub(crate) port: Option<u16>,
    /// Names beside `localhost`, in lower case.
    pub(crate) names: Vec<String>,
    /// Any IP address will do as Host: an address cannot be rebound. Only where we listen beyond loopback.
    pub(crate) any_address: bool,
}

impl Site {
    /// Loopback only, without TLS.
    pub(crate) const fn loopback(port: u16) -> Self {
        Self { scheme: "http", port: Some(port), names: Vec::new(), any_address: false }
    }

    fn is_ours(&self, authority: &str) -> bool {
        let Ok(authority) = authority.to_ascii_lowercase().parse::<Authority>() else { return false };
        if authority.as_str().contains('@') {
            return false;
        }
        let default = if self.scheme == "https" { 443 } else { 80 };
        let port = match (authority.port_u16(), authority.port()) {
            (Some(port), _) => port,
            (None, None) => default,
            (None, Some(_)) => return false,
        };
        if self.port.is_some_and(|own| own != port) {
            return false;
        }
        let host = authority.host();
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
        match address {
            Some(address) if self.any_address => !address.is_unspecified(),
            Some(address) => matches!(host, "127.0.0.1" | "[::1]") && address.is_loopback(),
            None => host == "localhost" || self.names.iter().any(|name| name == host),
        }
    }

    /// Refuses what names another host, or several.
    pub(crate) fn check_host(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
        let mut hosts = headers.get_all(header::HOST).iter();
        let host = match (hosts.next(), hosts.next()) {
            (Some(host), None) => host.to_str().unwrap_or_default(),
            _ => "",
        };
        let named = uri.authority().is_none_or(|authority| self.is_ours(authority.as_str()));
        if named && self.is_ours(host) {
            return Ok(());
        }
        Err(ApiError::Forbidden(match self.port {
            Some(port) if self.names.is_empty() && !self.any_address => {
                format!("the Host header must be 127.0.0.1:{port}, localhost:{port} or [::1]:{port}")
            }
            _ => format!("the Host header names another server; names are added by --host ({} now)", self.known()),
        }))
    }

    fn known(&self) -> String {
        if self.names.is_empty() { "none".to_owned() } else { self.names.join(", ") }
    }

    /// Changes, and sockets that outlive the request, need the Origin of our own pages.
    pub(crate) fn check_origin(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let origin = match (origins.next(), origins.next()) {
            (Some(origin), None) => origin.to_str().unwrap_or_default(),
            _ => "",
        };
        match origin.split_once("://") {
            Some((scheme, authority)) if scheme == self.scheme && self.is_ours(authority) => Ok(()),
            _ => {
                Err(ApiError::Forbidden("a change needs the Origin of Spotter's own pages, or an API token".to_owned()))
            }
        }
    }
}

/// Browsers say where a request was begun. Following a link to a page is harmless; all else from other sites is not.
pub(crate) fn check_fetch_site(method: &Method, headers: &HeaderMap) -> Result<(), ApiError> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match text("sec-fetch-site") {
        None | Some("same-origin" | "none") => Ok(()),
        Some(_)
            if *method == Method::GET
                && text("sec-fetch-mode") == Some("navigate")
                && text("sec-fetch-dest") == Some("document") =>
        {
            Ok(())
        }
        Some(site) => Err(ApiError::Forbidden(format!("the request was begun by another site ({site})"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_ours_by_name_and_port_and_nothing_else() {
        let own = Site::loopback(8080);
        for host in ["127.0.0.1:8080", "localhost:8080", "LOCALHOST:8080", "[::1]:8080"] {
            assert!(own.is_ours(host), "{host}");
        }
        for host in [
            "127.0.0.1",
            "127.0.0.1:80",
            "127.0.0.2:8080",
            "10.0.0.1:8080",
            "localhost:8080.evil.example",
            "a@localhost:8080",
            "localhost:",
            "localhost:x",
            "[::1%25lo]:8080",
            "evil.example:8080",
            "0.0.0.0:8080",
            "2130706433:8080",
            "",
        ] {
            assert!(!own.is_ours(host), "{host}");
        }
        let wide =
            Site { scheme: "https", port: Some(443), names: vec!["spotter.example".to_owned()], any_address: true };
        for host in ["spotter.example", "Spotter.Example:443", "10.0.0.1", "[2001:db8::1]:443", "localhost"] {
            assert!(wide.is_ours(host), "{host}");
        }
        for host in
            ["evil.example", "spotter.example.evil.example", "spotter.example:8443", "0.0.0.0", "[::]", "10.0.0"]
        {
            assert!(!wide.is_ours(host), "{host}");
        }
        let behind = Site { scheme: "https", port: None, names: vec!["soc.example".to_owned()], any_address: false };
        assert!(behind.is_ours("soc.example") && behind.is_ours("soc.example:8443"));
        assert!(!behind.is_ours("10.0.0.1"));
    }
}
