//! One platform's manifest out of an index.

use super::graph::{Blob, Named};
use super::origin::Origin;
use super::{TransferError, is_index};
use crate::inspect::{Limits, wire};
use crate::platform::Platform;

/// The manifest for `platforms` under `root`; `root` itself if none is asked for, or if it is for them all.
pub(super) async fn by_platform(
    origin: &Origin,
    root: Blob,
    platforms: &[Platform],
) -> Result<Blob, TransferError> {
    if platforms.is_empty() {
        return Ok(root);
    }
    if !is_index(&root.media_type) {
        // An image for one platform says in its configuration which; whoever has only one gets that.
        return Ok(root);
    }
    let bytes = origin.document(&root, &Limits::default()).await?;
    let named = Named::read(&root.digest, &root.media_type, &bytes)?;
    let mut chosen: Vec<&Blob> = Vec::new();
    for platform in platforms {
        let before = chosen.len();
        chosen.extend(named.documents.iter().filter(|entry| is_for(entry, platform)));
        if chosen.len() == before {
            let there = named.documents.iter().map(text).collect::<Vec<_>>().join(", ");
            return Err(TransferError::NoPlatform { platform: platform.to_string(), there });
        }
    }
    chosen.sort_by(|a, b| a.digest.cmp(&b.digest));
    chosen.dedup_by(|a, b| a.digest == b.digest);
    if chosen.len() == named.documents.len() {
        return Ok(root);
    }
    match chosen[..] {
        [only] => Ok(only.clone()),
        _ => Err(TransferError::SeveralPlatforms { count: chosen.len() }),
    }
}

fn is_for(entry: &Blob, wanted: &Platform) -> bool {
    entry.platform.as_ref().is_some_and(|platform| {
        platform.os().to_string() == wanted.os()
            && platform.architecture().to_string() == wanted.architecture()
            && wanted.variant().is_none_or(|variant| platform.variant().as_deref() == Some(variant))
    })
}

fn text(entry: &Blob) -> String {
    let Some(platform) = &entry.platform else { return "one without a platform".to_owned() };
    let (os, architecture) = (platform.os().to_string(), platform.architecture().to_string());
    let text = wire::platform_text(&os, &architecture, platform.variant().as_deref());
    text.escape_debug().to_string()
}
