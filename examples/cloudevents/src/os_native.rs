//! The same by std, for tests on this machine.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A TCP connection.
pub(crate) struct Stream(TcpStream);

impl Stream {
    pub(crate) fn connect(to: SocketAddr) -> io::Result<Self> {
        TcpStream::connect(to).map(Self)
    }

    /// Sends all of it.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    /// Waits for bytes, at most `timeout`; how many came, 0 at the end.
    pub(crate) fn receive(&mut self, bytes: &mut [u8], timeout: Duration) -> io::Result<usize> {
        self.0.set_read_timeout(Some(timeout))?;
        match self.0.read(bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(io::ErrorKind::TimedOut.into()),
            read => read,
        }
    }
}

pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Bytes that nobody can guess.
pub(crate) fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes)).expect("Linux has it");
    bytes
}
