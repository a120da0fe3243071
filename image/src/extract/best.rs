//! Which of an image's platforms is meant.

use super::ExtractError;
use super::choose::Candidate;
use super::error::Listed;
use crate::digest::Digest;
use crate::platform::Platform;

/// The platform that was asked for, else this machine's, else WASI's, else the only one.
pub(super) fn best(
    mut candidates: Vec<Candidate>,
    wanted: Option<&Platform>,
) -> Result<Candidate, ExtractError> {
    let found = |candidates: &[Candidate]| {
        let text =
            |candidate: &Candidate| candidate.platform.clone().unwrap_or_else(|| "no platform".to_owned());
        Listed(candidates.iter().map(text).collect())
    };
    let position = |platform: &Platform| candidates.iter().position(|candidate| is_for(candidate, platform));
    let machine = Platform::of_this_machine();
    let index = match wanted {
        Some(wanted) => position(wanted)
            .ok_or_else(|| ExtractError::NoPlatform { wanted: wanted.clone(), found: found(&candidates) })?,
        None => {
            let mut digests: Vec<&Digest> =
                candidates.iter().map(|candidate| &candidate.target.digest).collect();
            digests.sort();
            digests.dedup();
            match (position(&machine).or_else(|| position(&Platform::of_wasi())), digests.len()) {
                (Some(index), _) => index,
                (None, 1) => 0,
                (None, 0) => return Err(ExtractError::NoImage),
                (None, _) => {
                    return Err(ExtractError::WhichPlatform { machine, found: found(&candidates) });
                }
            }
        }
    };
    Ok(candidates.swap_remove(index))
}

/// A platform that is asked for without a variant is any variant's.
fn is_for(candidate: &Candidate, platform: &Platform) -> bool {
    let wanted = platform.to_string();
    candidate.platform.as_ref().is_some_and(|found| {
        *found == wanted
            || (platform.variant().is_none()
                && found.strip_prefix(&wanted).is_some_and(|rest| rest.starts_with('/')))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::wire::Target;
    use crate::spec;

    fn candidates(platforms: &[Option<&str>]) -> Vec<Candidate> {
        let one = |(number, platform): (usize, &Option<&str>)| Candidate {
            at: number.to_string(),
            target: Target {
                digest: Digest::of(&[number as u8]),
                size: 0,
                media_type: spec::MEDIA_MANIFEST.to_owned(),
            },
            platform: platform.map(str::to_owned),
        };
        platforms.iter().enumerate().map(one).collect()
    }

    fn chosen(platforms: &[Option<&str>], wanted: Option<&str>) -> Result<String, ExtractError> {
        let wanted = wanted.map(|text| text.parse().unwrap());
        best(candidates(platforms), wanted.as_ref()).map(|candidate| candidate.platform.unwrap_or_default())
    }

    #[test]
    fn the_asked_one_then_this_machines_then_wasi_then_the_only_one() {
        let machine = Platform::of_this_machine().to_string();
        let all = [Some("linux/none"), Some("wasi/wasm"), Some(machine.as_str())];
        assert_eq!(chosen(&all, Some("linux/none")).unwrap(), "linux/none");
        assert_eq!(chosen(&all, None).unwrap(), machine);
        assert_eq!(chosen(&all[..2], None).unwrap(), "wasi/wasm");
        assert_eq!(chosen(&all[..1], None).unwrap(), "linux/none");
        assert_eq!(chosen(&[None], None).unwrap(), "");
        let variant = [Some("linux/arm/v6"), Some("linux/arm/v7")];
        assert_eq!(chosen(&variant, Some("linux/arm/v7")).unwrap(), "linux/arm/v7");
        assert_eq!(chosen(&variant, Some("linux/arm")).unwrap(), "linux/arm/v6");
    }

    #[test]
    fn errors_list_what_there_is() {
        let none = chosen(&[Some("linux/none"), Some("a/b\u{1b}")], None).unwrap_err();
        assert!(none.to_string().ends_with("linux/none, a/b\\u{1b}"), "{none}");
        let other = chosen(&[Some("wasi/wasm"), None], Some("linux/arm64")).unwrap_err();
        assert_eq!(other.to_string(), "the image is not for linux/arm64: it is for wasi/wasm, no platform");
        assert!(matches!(chosen(&[], None), Err(ExtractError::NoImage)));
    }
}
