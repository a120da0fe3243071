//! What a byte in the FIFO says.

/// Why the handler is woken. A handler may ignore the difference and look at everything; one that heeds it saves work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// A request came or went, or the handler is asked to stop.
    Requests,
    /// An input changed, or something asks for a look at everything.
    Everything,
}

impl Wake {
    /// The byte to write.
    pub fn byte(self) -> u8 {
        match self {
            Wake::Requests => b'r',
            Wake::Everything => b'a',
        }
    }

    /// What a read byte asks for. An unknown one asks for everything, so that later versions can add reasons.
    pub fn of(byte: u8) -> Self {
        match byte {
            b'r' => Wake::Requests,
            _ => Wake::Everything,
        }
    }
}
