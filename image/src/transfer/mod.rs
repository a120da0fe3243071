//! Moving images between registries, layouts and archives without changing a byte: `graph` says what belongs to an
//! image, `origin` reads it, `target` writes it, children before what names them, the name last.

mod error;
mod graph;
mod local;
mod origin;
mod place;
mod referrers;
mod report;
mod select;
mod target;

use std::collections::HashMap;
use std::time::Instant;

use futures_util::{StreamExt, TryStreamExt, stream};

pub use error::TransferError;
pub use place::{Place, PlaceError};
pub use referrers::Referrers;
pub use report::{BlobOutcome, BlobReport, TransferReport};

use crate::inspect::Limits;
use crate::platform::Platform;
use crate::registry::ClientOptions;
use crate::spec;
use graph::Graph;
use origin::Origin;
use target::Target;

/// What is to be moved where.
#[derive(Clone)]
pub struct Transfer {
    /// From where.
    pub source: Place,
    /// To where: one layout or archive, or any number of names on registries.
    pub destinations: Vec<Place>,
    /// Only the manifests of these platforms; all if empty.
    pub platforms: Vec<Platform>,
    /// A repository of the destination's registry from which blobs may be mounted.
    pub mount_from: Option<String>,
    /// Whether what is attached to the image goes along.
    pub referrers: Referrers,
    /// How many blobs move at once.
    pub jobs: usize,
    /// How the source's registry is spoken to.
    pub from: ClientOptions,
    /// How the destinations' registries are spoken to. Its progress is the one that hears of blobs.
    pub to: ClientOptions,
}

/// Moves an image. What was there before at a layout or archive stays as it was if anything fails.
pub async fn transfer(transfer: &Transfer) -> Result<TransferReport, TransferError> {
    let began = Instant::now();
    let progress = &*transfer.to.progress;
    // Refused before anything is read.
    let mut targets = Target::open(transfer)?;
    let origin = Origin::open(&transfer.source, transfer.from.clone())?;
    let jobs = transfer.jobs.max(1);
    let root = origin.root(&transfer.source).await?;
    let root = select::by_platform(&origin, root, &transfer.platforms).await?;
    let graph = Graph::walk(&origin, root, jobs, &Limits::default(), transfer.referrers).await?;
    let mut blobs = HashMap::new();
    for blob in &graph.foreign {
        progress.note(&format!(
            "{} is a foreign layer, which its makers do not let be copied: left out",
            blob.digest
        ));
        blobs.insert(blob.digest.clone(), BlobReport::new(blob, BlobOutcome::Foreign, 0));
    }
    for target in &mut targets {
        let reports: Vec<BlobReport> = stream::iter(&graph.blobs)
            .map(|blob| {
                let (target, origin) = (&*target, &origin);
                async move {
                    let report = target.blob(origin, blob).await?;
                    progress.ends(&report);
                    Ok::<_, TransferError>(report)
                }
            })
            .buffer_unordered(jobs)
            .try_collect()
            .await?;
        for report in reports {
            // Told once: a second repository's copy only if the first one's was there already.
            let known = blobs.entry(report.digest.clone()).or_insert_with(|| report.clone());
            if known.outcome == BlobOutcome::Existed {
                *known = report;
            }
        }
        target.finish(&graph, jobs).await?;
    }
    let order = graph.blobs.iter().chain(&graph.foreign);
    let blobs: Vec<BlobReport> = order.filter_map(|blob| blobs.remove(&blob.digest)).collect();
    let sent = blobs.iter().filter(|blob| blob.outcome == BlobOutcome::Sent);
    Ok(TransferReport {
        source: transfer.source.to_string(),
        destinations: transfer.destinations.iter().map(Place::to_string).collect(),
        digest: graph.root.digest.clone(),
        media_type: graph.root.media_type.clone(),
        documents: graph.documents().count(),
        referrers: graph.attached.iter().map(|attached| attached.document.digest.clone()).collect(),
        bytes: sent.map(|blob| blob.size).sum(),
        seconds: began.elapsed().as_secs_f64(),
        blobs,
    })
}

/// Whether a document of this type names manifests.
fn is_index(media_type: &str) -> bool {
    matches!(media_type, spec::MEDIA_INDEX | spec::MEDIA_DOCKER_LIST)
}

/// Whether a document of this type names a configuration and layers.
fn is_manifest(media_type: &str) -> bool {
    matches!(media_type, spec::MEDIA_MANIFEST | spec::MEDIA_DOCKER_MANIFEST)
}
