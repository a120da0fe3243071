//! What needs the engine: sockets, the wait, random bytes. WASI preview 1 knows no way to make a socket; WasmEdge adds two
//! functions to its module, the only ones here that another engine does not have.
//! Source: <https://github.com/second-state/wasmedge_wasi_socket>

use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// WasmEdge's word for an IPv4 socket, and below for IPv6 and for TCP.
const INET4: u8 = 1;
const INET6: u8 = 2;
const STREAM: u8 = 2;

/// An address of 4 or 16 bytes, as `sock_connect` takes it.
#[repr(C)]
struct Address {
    bytes: *const u8,
    length: usize,
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn sock_open(family: u8, kind: u8, socket: *mut u32) -> u32;
    fn sock_connect(socket: u32, address: *const Address, port: u32) -> u32;
}

/// A TCP connection.
pub(crate) struct Stream(OwnedFd);

impl Stream {
    /// Connects, as long as the node's kernel tries.
    pub(crate) fn connect(to: SocketAddr) -> io::Result<Self> {
        let (family, bytes) = match to.ip() {
            IpAddr::V4(ip) => (INET4, ip.octets().to_vec()),
            IpAddr::V6(ip) => (INET6, ip.octets().to_vec()),
        };
        let mut socket = 0;
        // SAFETY: the engine writes one number to a live local.
        checked(unsafe { sock_open(family, STREAM, &raw mut socket) })?;
        // SAFETY: the engine has just made it, and nobody else has it.
        let stream = Self(unsafe { OwnedFd::from_raw_fd(socket as i32) });
        let address = Address { bytes: bytes.as_ptr(), length: bytes.len() };
        // SAFETY: the address and its bytes outlive the call, which only reads them.
        checked(unsafe { sock_connect(socket, &raw const address, to.port().into()) })?;
        Ok(stream)
    }

    /// Sends all of it.
    pub(crate) fn send(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let part = [wasi::Ciovec { buf: bytes.as_ptr(), buf_len: bytes.len() }];
            // SAFETY: the bytes outlive the call, which only reads them.
            match unsafe { wasi::sock_send(self.descriptor(), &part, 0) } {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => bytes = &bytes[count.min(bytes.len())..],
                Err(wasi::ERRNO_INTR) => {}
                Err(error) => return Err(of(error)),
            }
        }
        Ok(())
    }

    /// Waits for bytes, at most `timeout`; how many came, 0 at the end.
    pub(crate) fn receive(&mut self, bytes: &mut [u8], timeout: Duration) -> io::Result<usize> {
        if !self.readable(timeout)? {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let room = [wasi::Iovec { buf: bytes.as_mut_ptr(), buf_len: bytes.len() }];
        // SAFETY: the room is as long as is said, and borrowed for the call.
        let (count, _) = unsafe { wasi::sock_recv(self.descriptor(), &room, 0) }.map_err(of)?;
        Ok(count.min(bytes.len()))
    }

    fn readable(&self, timeout: Duration) -> io::Result<bool> {
        const SOCKET: u64 = 1;
        let socket = wasi::Subscription {
            userdata: SOCKET,
            u: wasi::SubscriptionU {
                tag: wasi::EVENTTYPE_FD_READ.raw(),
                u: wasi::SubscriptionUU {
                    fd_read: wasi::SubscriptionFdReadwrite { file_descriptor: self.descriptor() },
                },
            },
        };
        let subscriptions = [socket, clock(timeout)];
        let mut events = [const { MaybeUninit::<wasi::Event>::zeroed() }; 2];
        // SAFETY: both arrays have as many elements as is said, and an all-zero event is a valid one.
        let happened = unsafe {
            wasi::poll_oneoff(subscriptions.as_ptr(), events.as_mut_ptr().cast(), subscriptions.len())
        };
        let happened = match happened {
            // The engine was stopped and let go: the caller looks at the clock and comes again.
            Err(wasi::ERRNO_INTR) => 0,
            happened => happened.map_err(of)?,
        };
        // SAFETY: zeroed above, and the engine wrote the first `happened` of them.
        Ok(events.iter().take(happened).any(|event| unsafe { event.assume_init_ref() }.userdata == SOCKET))
    }

    fn descriptor(&self) -> wasi::Fd {
        self.0.as_raw_fd() as u32
    }
}

/// Sleeps. Not by std, which panics where a signal to the engine cuts the sleep short.
pub(crate) fn pause(time: Duration) {
    let mut event = MaybeUninit::<wasi::Event>::zeroed();
    // SAFETY: one subscription, and room for its one event. Where it fails the next event comes early, which does no harm.
    let _ = unsafe { wasi::poll_oneoff(&clock(time), event.as_mut_ptr(), 1) };
}

/// Bytes that nobody can guess.
pub(crate) fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    // SAFETY: the engine writes as many bytes as the array has.
    unsafe { wasi::random_get(bytes.as_mut_ptr(), bytes.len()) }.expect("the engine always has random bytes");
    bytes
}

fn clock(timeout: Duration) -> wasi::Subscription {
    wasi::Subscription {
        userdata: 0,
        u: wasi::SubscriptionU {
            tag: wasi::EVENTTYPE_CLOCK.raw(),
            u: wasi::SubscriptionUU {
                clock: wasi::SubscriptionClock {
                    id: wasi::CLOCKID_MONOTONIC,
                    timeout: u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX),
                    precision: 0,
                    flags: 0,
                },
            },
        },
    }
}

fn checked(code: u32) -> io::Result<()> {
    if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code as i32)) }
}

fn of(error: wasi::Errno) -> io::Error {
    io::Error::from_raw_os_error(error.raw().into())
}
