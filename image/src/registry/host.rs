//! Which address a registry's name stands for, and whether it may be spoken to without TLS.

use std::net::IpAddr;

use reqwest::Url;

use super::RegistryError;

/// What references without a registry mean, and where it really is.
/// <https://github.com/distribution/reference/blob/main/normalize.go>
const DOCKER_HUB: (&str, &str) = ("docker.io", "registry-1.docker.io");

/// How far a user allows plain HTTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlainHttp {
    /// TLS always.
    #[default]
    Never,
    /// Plain HTTP to this machine itself.
    Loopback,
    /// Plain HTTP to any host: asked for twice.
    Anywhere,
}

/// A registry's own address: credentials go nowhere else.
#[derive(Clone, Debug)]
pub(super) struct Host {
    name: String,
    base: Url,
}

impl Host {
    pub(super) fn new(name: &str, plain_http: PlainHttp) -> Result<Self, RegistryError> {
        let address = if name == DOCKER_HUB.0 { DOCKER_HUB.1 } else { name };
        let scheme = if plain_http == PlainHttp::Never { "https" } else { "http" };
        let base = Url::parse(&format!("{scheme}://{address}/v2/"))
            .map_err(|_| RegistryError::Address(name.to_owned()))?;
        let host = Self { name: name.to_owned(), base };
        if plain_http == PlainHttp::Loopback && !is_loopback(&host.base) {
            return Err(RegistryError::PlainHttpRefused(name.to_owned()));
        }
        Ok(host)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The address of `path` under `/v2/`. It is made of parsed references and digests.
    pub(super) fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("/v2/{path}"));
        url
    }

    /// Whether `url` is this registry, by scheme, host and port.
    pub(super) fn owns(&self, url: &Url) -> bool {
        self.base.origin() == url.origin()
    }

    pub(super) fn is_loopback(&self) -> bool {
        is_loopback(&self.base)
    }

    /// Whether what is sent to `url` is as well guarded as what is sent to the registry itself.
    pub(super) fn is_as_safe(&self, url: &Url) -> bool {
        match url.scheme() {
            "https" => true,
            "http" => self.base.scheme() == "http" && (self.base.host() == url.host() || is_loopback(url)),
            _ => false,
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Scheme, host and port of an address: what an error may show. The rest may hold a signature.
pub(super) fn origin_of(url: &Url) -> String {
    url.origin().ascii_serialization()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback_unless_asked_twice() {
        for name in ["localhost:5000", "127.0.0.1", "127.9.9.9:1", "[::1]:5000"] {
            assert!(Host::new(name, PlainHttp::Loopback).is_ok(), "{name}");
        }
        for name in ["registry.example.org", "10.0.0.1:5000", "localhost.example.org"] {
            let refused = Host::new(name, PlainHttp::Loopback);
            assert!(matches!(refused, Err(RegistryError::PlainHttpRefused(_))), "{name}");
            assert_eq!(Host::new(name, PlainHttp::Anywhere).unwrap().base.scheme(), "http");
        }
        let hub = Host::new("docker.io", PlainHttp::Never).unwrap();
        assert_eq!(hub.url("a/b/tags/list").as_str(), "https://registry-1.docker.io/v2/a/b/tags/list");
    }

    #[test]
    fn origins_differ_by_scheme_host_and_port() {
        let host = Host::new("r.example:444", PlainHttp::Never).unwrap();
        let owns = |text: &str| host.owns(&Url::parse(text).unwrap());
        assert!(owns("https://r.example:444/x"));
        for other in ["https://r.example/x", "http://r.example:444/x", "https://s.example:444/x"] {
            assert!(!owns(other), "{other}");
        }
        assert!(!host.is_as_safe(&Url::parse("http://r.example:444/token").unwrap()));
        assert!(host.is_as_safe(&Url::parse("https://auth.example/token").unwrap()));
    }
}
