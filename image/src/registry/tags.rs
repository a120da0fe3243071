//! The tags of a repository, page by page.
//! <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-tags>

use reqwest::header::LINK;
use reqwest::{Method, Url};
use serde::Deserialize;

use super::auth::Scope;
use super::transport::{Call, Reply};
use super::{RegistryClient, RegistryError};

/// Most bytes of one page.
const MAX_PAGE: u64 = 4 << 20;
/// How many tags are asked for at once.
const PAGE: usize = 1000;

#[derive(Deserialize)]
struct Page {
    tags: Option<Vec<String>>,
}

impl RegistryClient {
    /// All tags, in the registry's order, but no more than `limit`.
    pub async fn tags(&self, repository: &str, limit: usize) -> Result<Vec<String>, RegistryError> {
        let scope = Scope::Pull(repository.to_owned());
        let mut url = self.host.url(&format!("{repository}/tags/list"));
        url.set_query(Some(&format!("n={PAGE}")));
        let mut tags: Vec<String> = Vec::new();
        // A page may be empty and still name a next one, but not for ever.
        for _ in 0..=limit.div_ceil(PAGE).max(1) * 10 {
            let call = Call::new(Method::GET, url);
            let reply = self.call(&call, &scope, repository, &[200], MAX_PAGE).await?;
            let page: Page = serde_json::from_slice(&reply.body)
                .map_err(|error| self.nonsense(format!("its list of tags is not valid ({error})")))?;
            tags.extend(page.tags.unwrap_or_default());
            if tags.len() > limit {
                return Err(self.endless(limit));
            }
            match self.next_page(&reply)? {
                Some(next) => url = next,
                None => return Ok(tags),
            }
        }
        Err(self.endless(limit))
    }

    fn endless(&self, limit: usize) -> RegistryError {
        self.nonsense(format!("its list of tags does not end within {limit}: raise --limit if it is right"))
    }

    /// The address in `Link: <…>; rel="next"`. <https://www.rfc-editor.org/rfc/rfc8288>
    pub(super) fn next_page(&self, reply: &Reply) -> Result<Option<Url>, RegistryError> {
        let Some(value) = reply.headers.get(LINK).and_then(|value| value.to_str().ok()) else {
            return Ok(None);
        };
        let Some((address, parameters)) =
            value.trim().strip_prefix('<').and_then(|text| text.split_once('>'))
        else {
            return Ok(None);
        };
        let next = parameters.split(';').any(|parameter| {
            let parameter = parameter.trim().replace('"', "");
            parameter.eq_ignore_ascii_case("rel=next")
        });
        if !next {
            return Ok(None);
        }
        let url =
            reply.url.join(address).map_err(|_| self.nonsense("the next page of a list has no address"))?;
        if !self.host.owns(&url) {
            return Err(self.nonsense("the next page of a list is on another host: refused"));
        }
        Ok(Some(url))
    }
}
