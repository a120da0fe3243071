//! Where events go: an address, never a name, for a module has no resolver.

use std::fmt::{self, Display, Formatter};
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use thiserror::Error;

const SCHEME: &str = "http://";
const DEFAULT_PORT: u16 = 80;

/// An `http` URL whose host is an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    /// Whom to connect to.
    pub(crate) address: SocketAddr,
    /// What to ask for there.
    pub(crate) path: String,
}

/// Why a text is no such URL.
#[derive(Debug, Error)]
pub(crate) enum UrlError {
    #[error("it has to begin with http://: the module has no TLS, a sidecar may")]
    Scheme,
    #[error(
        "{0:?} is no ADDRESS or ADDRESS:PORT: the module has no DNS; a Service's address is in its environment"
    )]
    Address(String),
    #[error("its path has characters that a request cannot have")]
    Path,
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let rest = text.strip_prefix(SCHEME).ok_or(UrlError::Scheme)?;
        let (host, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, "/"),
        };
        if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(UrlError::Path);
        }
        let without_port = || {
            let ip = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
            Some(SocketAddr::new(ip.parse::<IpAddr>().ok()?, DEFAULT_PORT))
        };
        let address = host.parse().ok().or_else(without_port);
        let address = address.ok_or_else(|| UrlError::Address(host.to_owned()))?;
        Ok(Self { address, path: path.to_owned() })
    }
}

impl Display for Url {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}{}", self.address, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_with_and_without_port_and_path() {
        for (text, shown) in [
            ("http://127.0.0.1:8080/events", "http://127.0.0.1:8080/events"),
            ("http://10.0.0.1", "http://10.0.0.1:80/"),
            ("http://[::1]/x", "http://[::1]:80/x"),
            ("http://[::1]:81", "http://[::1]:81/"),
        ] {
            assert_eq!(text.parse::<Url>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_a_module_cannot_do_is_said() {
        for (text, why) in [
            ("https://127.0.0.1/", "TLS"),
            ("http://events.default.svc/", "DNS"),
            ("http://127.0.0.1/a b", "path"),
            ("http://127.0.0.1/a\r\nx: y", "path"),
            ("http://127.0.0.1:x/", "DNS"),
        ] {
            let error = text.parse::<Url>().unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
