//! Where an image goes: a repository under some tags, or a layout or archive.

use std::collections::BTreeMap;

use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::json;
use tokio::sync::mpsc;

use super::graph::{Blob, Document, Graph};
use super::origin::Origin;
use super::place::Place;
use super::referrers::Attached;
use super::report::{BlobOutcome, BlobReport};
use super::{Transfer, TransferError};
use crate::layout::{Incoming, Output};
use crate::reference::Reference;
use crate::registry::{
    BlobInput, BlobStream, ClientOptions, InputError, ManifestRef, RegistryClient, RegistryError, Subject,
    UploadOutcome,
};
use crate::selector::Selector;
use crate::spec;

/// How many buffers may wait to be written.
const AHEAD: usize = 4;

/// One destination.
pub(super) enum Target {
    Repository(Box<Repository>),
    Files(Box<Files>),
}

/// A repository and what the image is called in it.
pub(super) struct Repository {
    client: RegistryClient,
    names: Vec<Reference>,
    mount_from: Option<String>,
}

/// A layout or archive that is being made.
pub(super) struct Files {
    incoming: Option<Incoming>,
    annotations: BTreeMap<&'static str, String>,
    options: ClientOptions,
}

impl Target {
    /// The destinations, names in one repository together.
    pub(super) fn open(transfer: &Transfer) -> Result<Vec<Self>, TransferError> {
        let mut targets: Vec<Self> = Vec::new();
        for place in &transfer.destinations {
            match place {
                Place::Registry(reference) => {
                    let same = targets.iter_mut().find_map(|target| match target {
                        Self::Repository(known) if known.is(reference) => Some(known),
                        _ => None,
                    });
                    match same {
                        Some(known) => known.names.push(reference.clone()),
                        None => {
                            let repository = Repository::open(transfer, reference, &targets)?;
                            targets.push(Self::Repository(Box::new(repository)));
                        }
                    }
                }
                _ if transfer.destinations.len() > 1 => {
                    return Err(TransferError::Together(place.to_string()));
                }
                Place::Layout(path, name) => {
                    let output = Output::Layout(path.clone());
                    targets.push(Self::Files(Box::new(Files::open(output, name.as_ref(), transfer)?)));
                }
                Place::Archive(path, name) => {
                    let output = Output::Archive(path.clone());
                    targets.push(Self::Files(Box::new(Files::open(output, name.as_ref(), transfer)?)));
                }
            }
        }
        Ok(targets)
    }

    /// Sees to it that `blob` is there.
    pub(super) async fn blob(&self, origin: &Origin, blob: &Blob) -> Result<BlobReport, TransferError> {
        match self {
            Self::Repository(repository) => repository.blob(origin, blob).await,
            Self::Files(files) => files.blob(origin, blob).await,
        }
    }

    /// Puts the documents, and last of all the name.
    pub(super) async fn finish(&mut self, graph: &Graph, jobs: usize) -> Result<(), TransferError> {
        match self {
            Self::Repository(repository) => repository.finish(graph, jobs).await,
            Self::Files(files) => files.finish(graph),
        }
    }
}

impl Repository {
    fn open(transfer: &Transfer, reference: &Reference, others: &[Target]) -> Result<Self, TransferError> {
        // What went to another repository of the registry a moment ago can be mounted from there.
        let neighbour = others.iter().find_map(|target| match target {
            Target::Repository(other) if other.names[0].registry() == reference.registry() => {
                Some(other.names[0].repository().to_owned())
            }
            _ => None,
        });
        let source = match &transfer.source {
            Place::Registry(source) if source.registry() == reference.registry() => {
                Some(source.repository().to_owned())
            }
            _ => None,
        };
        let mount_from = transfer.mount_from.clone().or(source).or(neighbour);
        Ok(Self {
            client: RegistryClient::new(reference.registry(), transfer.to.clone())?,
            names: vec![reference.clone()],
            mount_from: mount_from.filter(|from| from != reference.repository()),
        })
    }

    fn is(&self, reference: &Reference) -> bool {
        let first = &self.names[0];
        first.registry() == reference.registry() && first.repository() == reference.repository()
    }

    async fn blob(&self, origin: &Origin, blob: &Blob) -> Result<BlobReport, TransferError> {
        let (client, repository) = (&self.client, self.names[0].repository());
        let here = origin.repository() == Some((client.name(), repository));
        if here || client.has_blob(repository, &blob.digest, blob.size).await? {
            return Ok(BlobReport::new(blob, BlobOutcome::Existed, 0));
        }
        let input = origin.blob(blob);
        client.progress().begins(&blob.digest, blob.size);
        let mount_from = self.mount_from.as_deref();
        let outcome = client.upload(repository, &blob.digest, blob.size, &input, mount_from).await?;
        Ok(match outcome {
            UploadOutcome::Mounted => BlobReport::new(blob, BlobOutcome::Mounted, 0),
            UploadOutcome::Sent { resumed } => {
                BlobReport::new(blob, BlobOutcome::Sent, resumed + input.resumed())
            }
        })
    }

    async fn finish(&self, graph: &Graph, jobs: usize) -> Result<(), TransferError> {
        let repository = self.names[0].repository();
        let root = &graph.root.digest;
        for reference in &self.names {
            if reference.digest().is_some_and(|digest| digest != root) {
                let (wanted, found) = (reference.to_string(), root.clone());
                return Err(TransferError::OtherDigest { wanted, found });
            }
        }
        let (last, below) = graph.levels.split_last().expect("a graph has a root");
        for level in below {
            stream::iter(level)
                .map(|document| self.put(repository, document, ManifestRef::Digest(&document.digest)))
                .buffer_unordered(jobs)
                .try_for_each(|_| std::future::ready(Ok(())))
                .await?;
        }
        // Before the name: whoever finds the image finds what is about it.
        for attached in &graph.attached {
            self.attach(repository, attached).await?;
        }
        for document in last {
            for reference in &self.names {
                let name = reference.tag().map_or(ManifestRef::Digest(root), ManifestRef::Tag);
                self.put(repository, document, name).await?;
            }
        }
        Ok(())
    }

    /// One after the other: some registries have us keep the list.
    async fn attach(&self, repository: &str, attached: &Attached) -> Result<(), RegistryError> {
        let document = &attached.document;
        match self.put(repository, document, ManifestRef::Digest(&document.digest)).await? {
            Subject::Listed => Ok(()),
            Subject::NotListed => {
                self.client.list_referrer(repository, &attached.subject, &attached.entry).await
            }
        }
    }

    async fn put(
        &self,
        repository: &str,
        document: &Document,
        name: ManifestRef<'_>,
    ) -> Result<Subject, RegistryError> {
        let Document { digest, media_type, bytes } = document;
        self.client.put_manifest(repository, &name, media_type, bytes, digest).await
    }
}

impl Files {
    fn open(output: Output, name: Option<&Selector>, transfer: &Transfer) -> Result<Self, TransferError> {
        let mut annotations = BTreeMap::new();
        if let Place::Registry(reference) = &transfer.source
            && let Some(tag) = reference.tag()
        {
            annotations.insert(spec::ANNOTATION_REF_NAME, tag.to_owned());
            annotations.insert(spec::ANNOTATION_CONTAINERD_NAME, reference.to_string());
        }
        // The name that the source has in its layout goes with it, as the name that is asked for does.
        let source = match &transfer.source {
            Place::Layout(_, Some(Selector::Name(tag))) | Place::Archive(_, Some(Selector::Name(tag))) => {
                Some(tag)
            }
            _ => None,
        };
        let asked = match name {
            Some(Selector::Name(tag)) => Some(tag),
            _ => None,
        };
        if let Some(tag) = asked.or(source) {
            annotations.insert(spec::ANNOTATION_REF_NAME, tag.clone());
        }
        let incoming = Some(Incoming::open(output)?);
        Ok(Self { incoming, annotations, options: transfer.to.clone() })
    }

    fn incoming(&self) -> &Incoming {
        self.incoming.as_ref().expect("nothing is written after the end")
    }

    async fn blob(&self, origin: &Origin, blob: &Blob) -> Result<BlobReport, TransferError> {
        let incoming = self.incoming();
        let write_error = |error| TransferError::Write(incoming.path().to_owned(), error);
        let gone = |_| write_error(std::io::Error::other("the thread that works on it is gone"));
        if let Some(check) = incoming.check(&blob.digest, blob.size)
            && tokio::task::spawn_blocking(check).await.map_err(gone)?
        {
            return Ok(BlobReport::new(blob, BlobOutcome::Existed, 0));
        }
        let progress = &self.options.progress;
        progress.begins(&blob.digest, blob.size);
        let mut stream = origin.blob(blob).open().await.map_err(|error| unread(blob, error))?;
        let mut file = incoming.begin(&blob.digest).map_err(write_error)?;
        let (sender, mut receiver) = mpsc::channel::<bytes::Bytes>(AHEAD);
        let writer = tokio::task::spawn_blocking(move || {
            while let Some(bytes) = receiver.blocking_recv() {
                file.write(&bytes)?;
            }
            Ok::<_, std::io::Error>(file)
        });
        let mut position = 0;
        while let Some(bytes) = stream.next().await.map_err(|error| unread(blob, error))? {
            position += bytes.len() as u64;
            // A writer that has gone says below why.
            if sender.send(bytes).await.is_err() {
                break;
            }
            progress.moved(&blob.digest, position);
        }
        drop(sender);
        let file = writer.await.map_err(gone)?.map_err(write_error)?;
        incoming.keep(file).map_err(write_error)?;
        Ok(BlobReport::new(blob, BlobOutcome::Sent, stream.resumed()))
    }

    fn finish(&mut self, graph: &Graph) -> Result<(), TransferError> {
        let path = self.incoming().path().to_owned();
        let write_error = |error| TransferError::Write(path.clone(), error);
        let incoming = self.incoming.take().expect("a destination is finished once");
        let attached = graph.attached.iter().map(|attached| &attached.document);
        for document in graph.documents().chain(attached) {
            let mut file = incoming.begin(&document.digest).map_err(write_error)?;
            file.write(&document.bytes).map_err(write_error)?;
            incoming.keep(file).map_err(write_error)?;
        }
        let root = &graph.root;
        let mut entry =
            json!({ "mediaType": root.media_type, "digest": root.digest.to_string(), "size": root.size });
        if let Some(platform) = &root.platform {
            entry["platform"] = json!(platform);
        }
        if !self.annotations.is_empty() {
            entry["annotations"] = json!(self.annotations);
        }
        let entries: Vec<_> = std::iter::once(entry).chain(graph.attached_entries()).collect();
        Ok(incoming.publish(entries)?)
    }
}

fn unread(blob: &Blob, error: InputError) -> TransferError {
    match error {
        InputError::Registry(error) => TransferError::Registry(*error),
        source => TransferError::Input { digest: blob.digest.clone(), source },
    }
}
