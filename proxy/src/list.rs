//! A list of devices in the one form in which the proxy holds it: as the bytes of the message that tells it.
//!
//! A device in protobuf is about as large as in the handler's JSON. As a value it is many times that, for a property of a few
//! letters is two allocations. So devices are values one at a time, while an answer is read. What job, streams and connections
//! hold are the same bytes, and those are counted ([`Room`]).

use std::fmt;

use akri_exchange::Device;
use hyper::body::Bytes;
use prost::Message;
use prost::encoding::{WireType, decode_key, decode_varint, encode_key, encode_varint, encoded_len_varint};
use thiserror::Error;

use crate::akri::MAX_RESPONSE_BYTES;
use crate::pb;
use crate::room::{Full, Room, Share};

/// Bytes that the protobuf of a list may have: the agent's limit, less what gRPC adds.
pub(crate) const MAX_LIST_BYTES: usize = MAX_RESPONSE_BYTES - 1024;

/// Bytes that the newest lists of all jobs may have together.
pub(crate) const NEWEST_BYTES: usize = 6 * 1024 * 1024;
/// Bytes that all lists may have together, with the one that is read now and those that a slow agent has not read yet: so that
/// every job's list can be replaced, however large all are.
pub(crate) const ALL_BYTES: usize = NEWEST_BYTES + MAX_RESPONSE_BYTES;

/// What gRPC puts before a message: whether it is compressed, and its length as 32 bits, the highest first
/// (github.com/grpc/grpc, doc/PROTOCOL-HTTP2.md, "Length-Prefixed-Message").
const PREFIX: usize = 5;

/// Field `devices` of `DiscoverResponse`.
const DEVICES: u32 = 1;
/// Field `id` of `Device`: the first one, so it is encoded first; an empty one is not encoded.
const ID: u32 = 1;

/// A full list of devices, ready to be sent as often as needed.
#[derive(Clone)]
pub(crate) struct List {
    /// With gRPC's prefix.
    frame: Bytes,
    devices: usize,
}

/// A list that is being made.
#[derive(Debug)]
pub(crate) struct Draft {
    frame: Vec<u8>,
    devices: usize,
    /// What it may have beside the newest lists of other jobs.
    most: usize,
    share: Share,
}

/// One device of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry<'l> {
    /// Its id.
    pub(crate) id: &'l [u8],
    /// All of it, as it stands in the message.
    bytes: &'l [u8],
}

/// Why a device cannot be added.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum Overfull {
    /// With it the list would be more than the agent takes.
    #[error(
        "{devices} devices and one more make above {MAX_LIST_BYTES} bytes, which is what the agent takes"
    )]
    List {
        /// How many there were before it.
        devices: usize,
    },
    /// There is no room for it beside other lists.
    #[error(transparent)]
    Room(#[from] Full),
}

/// What keeps its room for as long as anybody holds the bytes.
struct Kept {
    frame: Vec<u8>,
    _share: Share,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.frame
    }
}

impl Draft {
    /// An empty list, that may have so many bytes.
    pub(crate) fn new(room: &Room, most: usize) -> Self {
        Self { frame: vec![0; PREFIX], devices: 0, most, share: room.share() }
    }

    /// Adds a device.
    pub(crate) fn push(&mut self, device: Device) -> Result<(), Overfull> {
        let device = pb::Device::from(device);
        let length = device.encoded_len();
        self.reserve(1 + encoded_len_varint(length as u64) + length)?;
        encode_key(DEVICES, WireType::LengthDelimited, &mut self.frame);
        encode_varint(length as u64, &mut self.frame);
        device.encode_raw(&mut self.frame);
        self.devices += 1;
        Ok(())
    }

    /// Adds a device of another list.
    pub(crate) fn copy(&mut self, entry: Entry<'_>) -> Result<(), Overfull> {
        self.reserve(entry.bytes.len())?;
        self.frame.extend_from_slice(entry.bytes);
        self.devices += 1;
        Ok(())
    }

    /// How many devices it has so far.
    pub(crate) fn devices(&self) -> usize {
        self.devices
    }

    /// How long it is; to come back to by [`Draft::cut`].
    pub(crate) fn mark(&self) -> (usize, usize) {
        (self.frame.len(), self.devices)
    }

    /// Drops what was added since a mark.
    pub(crate) fn cut(&mut self, (length, devices): (usize, usize)) {
        self.frame.truncate(length);
        self.devices = devices;
    }

    pub(crate) fn entries(&self) -> Entries<'_> {
        Entries { rest: &self.frame[PREFIX..] }
    }

    /// It is complete.
    pub(crate) fn finish(mut self) -> List {
        let length = u32::try_from(self.frame.len() - PREFIX).expect("less than MAX_LIST_BYTES");
        self.frame[1..PREFIX].copy_from_slice(&length.to_be_bytes());
        self.frame.shrink_to_fit();
        self.share.keep();
        let Self { frame, devices, share, .. } = self;
        List { frame: Bytes::from_owner(Kept { frame, _share: share }), devices }
    }

    fn reserve(&mut self, bytes: usize) -> Result<(), Overfull> {
        let length = self.frame.len() - PREFIX + bytes;
        if length > MAX_LIST_BYTES {
            return Err(Overfull::List { devices: self.devices });
        }
        if length > self.most {
            return Err(Full.into());
        }
        Ok(self.share.grow(bytes)?)
    }
}

impl List {
    /// How many devices it has.
    pub(crate) fn devices(&self) -> usize {
        self.devices
    }

    /// How many bytes of protobuf it is.
    pub(crate) fn bytes(&self) -> usize {
        self.frame.len() - PREFIX
    }

    /// The message as gRPC sends it. A copy of the reference, not of the bytes.
    pub(crate) fn frame(&self) -> Bytes {
        self.frame.clone()
    }

    pub(crate) fn entries(&self) -> Entries<'_> {
        Entries { rest: &self.frame[PREFIX..] }
    }
}

/// Equal lists are equal bytes, for properties are encoded in the order of their names.
impl PartialEq for List {
    fn eq(&self, other: &Self) -> bool {
        self.frame == other.frame
    }
}

impl fmt::Debug for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("List").field("devices", &self.devices).field("bytes", &self.frame.len()).finish()
    }
}

/// The devices of a list, one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Entries<'l> {
    rest: &'l [u8],
}

impl<'l> Iterator for Entries<'l> {
    type Item = Entry<'l>;

    fn next(&mut self) -> Option<Entry<'l>> {
        const OURS: &str = "a list holds what a draft has encoded";
        if self.rest.is_empty() {
            return None;
        }
        let (whole, mut body) = (self.rest, self.rest);
        let length = |bytes: &mut &[u8]| usize::try_from(decode_varint(bytes).expect(OURS)).expect(OURS);
        decode_key(&mut body).expect(OURS);
        let size = length(&mut body);
        let (mut device, rest) = body.split_at(size);
        self.rest = rest;
        let mut id: &[u8] = &[];
        if !device.is_empty() && decode_key(&mut device).expect(OURS).0 == ID {
            let size = length(&mut device);
            id = &device[..size];
        }
        Some(Entry { id, bytes: &whole[..whole.len() - rest.len()] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use akri_exchange::{DeviceSpec, Mount};

    fn devices() -> Vec<Device> {
        let (container_path, host_path) = ("/dev/x".to_owned(), "/dev/y".to_owned());
        let mount =
            Mount { container_path: container_path.clone(), host_path: host_path.clone(), read_only: true };
        let spec = DeviceSpec { container_path, host_path, permissions: "rw".into() };
        vec![
            Device { mounts: vec![mount], device_specs: vec![spec], ..Device::new("x".repeat(200)) },
            Device::new(""),
            Device::new("").property("B", "2").property("A", ""),
            Device::new("ä").property("LONG", "x".repeat(60_000)),
        ]
    }

    fn draft(room: &Room, devices: impl IntoIterator<Item = Device>) -> Draft {
        let mut draft = Draft::new(room, usize::MAX);
        devices.into_iter().for_each(|device| draft.push(device).unwrap());
        draft
    }

    #[test]
    fn it_is_what_prost_makes_of_the_devices() {
        let room = Room::new(1 << 20);
        let list = draft(&room, devices()).finish();
        let message = pb::DiscoverResponse { devices: devices().into_iter().map(pb::Device::from).collect() };
        let frame = list.frame();
        assert_eq!(frame[0], 0, "not compressed");
        assert_eq!(frame[1..PREFIX], (message.encoded_len() as u32).to_be_bytes());
        assert_eq!(frame[PREFIX..], message.encode_to_vec());
        assert_eq!(pb::DiscoverResponse::decode(&frame[PREFIX..]).unwrap(), message);
        let ids: Vec<&[u8]> = list.entries().map(|entry| entry.id).collect();
        assert_eq!(ids, ["x".repeat(200).as_bytes(), b"", b"", "ä".as_bytes()]);
        let mut copy = Draft::new(&room, usize::MAX);
        list.entries().for_each(|entry| copy.copy(entry).unwrap());
        let mark = copy.mark();
        copy.push(Device::new("more")).unwrap();
        copy.cut(mark);
        let copy = copy.finish();
        assert!(copy == list && copy.devices() == 4);
        assert_eq!(draft(&room, []).finish().entries().count(), 0);
    }

    #[test]
    fn it_is_never_more_than_the_agent_takes() {
        let room = Room::new(usize::MAX);
        let mut draft = Draft::new(&room, usize::MAX);
        let large = || Device::new("x").property("N", "x".repeat(60_000));
        let full = loop {
            if let Err(error) = draft.push(large()) {
                break error;
            }
        };
        assert_eq!(full, Overfull::List { devices: 69 });
        assert!(draft.finish().frame().len() <= MAX_RESPONSE_BYTES);
        let mut draft = Draft::new(&room, 100_000);
        draft.push(large()).unwrap();
        assert_eq!(draft.push(large()), Err(Full.into()));
    }

    #[tokio::test]
    async fn room_is_taken_until_the_last_holder_is_gone() {
        let room = Room::new(1000);
        let large = || Device::new("x").property("N", "x".repeat(600));
        let list = draft(&room, [large()]).finish();
        let frame = list.frame().slice(100..200);
        drop(list);
        let mut second = Draft::new(&room, usize::MAX);
        assert_eq!(second.push(large()), Err(Full.into()));
        second.push(Device::new("small")).unwrap();
        drop(second);
        let soon = |room: Room| async move {
            tokio::time::timeout(std::time::Duration::from_millis(20), room.freed()).await
        };
        assert!(soon(room.clone()).await.is_err(), "a trial wakes nobody");
        drop(frame);
        assert!(soon(room.clone()).await.is_ok());
        draft(&room, [large()]);
    }
}
