//! `WWW-Authenticate`: what a registry wants to see. <https://www.rfc-editor.org/rfc/rfc9110#field.www-authenticate>

use std::collections::HashMap;

/// How a registry wants to be shown who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// User name and password with each request.
    Basic,
    /// A token from a service. <https://distribution.github.io/distribution/spec/auth/token/>
    Bearer {
        /// Where the service is.
        realm: String,
        /// What the registry calls itself there.
        service: Option<String>,
    },
}

impl Challenge {
    /// The first challenge in the header's values that this crate can meet; Bearer before Basic.
    pub(super) fn choose<'a>(values: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut basic = None;
        for value in values {
            for (scheme, parameters) in parse(value) {
                if scheme.eq_ignore_ascii_case("bearer")
                    && let Some(realm) = parameters.get("realm")
                {
                    let service = parameters.get("service").cloned();
                    return Some(Self::Bearer { realm: realm.clone(), service });
                }
                if scheme.eq_ignore_ascii_case("basic") {
                    basic = Some(Self::Basic);
                }
            }
        }
        basic
    }
}

/// All challenges of one value: a scheme, then `key=value` pairs with or without quotes.
fn parse(value: &str) -> Vec<(String, HashMap<String, String>)> {
    let mut challenges: Vec<(String, HashMap<String, String>)> = Vec::new();
    let mut rest = value.trim_start_matches([' ', ',', '\t']);
    while !rest.is_empty() {
        let end = rest.find([' ', '=', ',']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if let Some(text) = after.strip_prefix('=') {
            let (value, left) = parameter(text);
            if let Some((_, parameters)) = challenges.last_mut() {
                parameters.insert(word.to_ascii_lowercase(), value);
            }
            rest = left;
        } else {
            challenges.push((word.to_owned(), HashMap::new()));
            rest = after;
        }
        rest = rest.trim_start_matches([' ', ',', '\t']);
    }
    challenges
}

/// A value and what is after it.
fn parameter(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut escaped = false;
    for (position, letter) in quoted.char_indices() {
        match letter {
            _ if escaped => {
                value.push(letter);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return (value, &quoted[position + 1..]),
            _ => value.push(letter),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>) -> Option<Challenge> {
        Some(Challenge::Bearer { realm: realm.to_owned(), service: service.map(str::to_owned) })
    }

    #[test]
    fn reads_what_registries_write() {
        let one = |text| Challenge::choose([text].into_iter());
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="a:b:pull,push""#;
        assert_eq!(one(hub), bearer("https://auth.docker.io/token", Some("registry.docker.io")));
        assert_eq!(one("bearer realm=https://x/t"), bearer("https://x/t", None));
        assert_eq!(one(r#"Basic realm="Registry""#), Some(Challenge::Basic));
        assert_eq!(one(r#"Basic realm="a \"b\"", Bearer realm="https://x""#), bearer("https://x", None));
        for text in ["", "Negotiate", "Bearer", "Bearer service=\"x\"", "=", "Bearer =x", "Digest realm=\""] {
            assert_eq!(one(text), None, "{text}");
        }
    }
}
