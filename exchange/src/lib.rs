//! The contract between a discovery handler in WebAssembly and the proxy beside it: protocol 1.
//!
//! Owns every file name, message, limit and rule of the exchange directory (`docs/exchange.md` says the same in prose).
//! It refuses to know how files are read or written, what runs the handler, and what any device protocol is:
//! bytes go in, checked values come out, and the other way round. Builds for `wasm32-wasip1` and natively.
//!
//! ```
//! use akri_exchange::{Answer, Device, RequestId};
//!
//! let id = RequestId::of("descriptions: [foo0]", &Default::default());
//! let answer = Answer::devices(id, vec![Device::new("foo0").property("DEBUG_ECHO_DESCRIPTION", "foo0")]);
//! let bytes = answer.to_json();
//! assert_eq!(Answer::parse(&bytes, id).unwrap(), answer);
//! ```

mod answer;
mod base64;
mod bounded;
mod device;
mod hello;
mod invalid;
pub mod json;
pub mod layout;
pub mod limits;
mod name;
mod properties;
mod reading;
mod request;
mod request_id;
mod wake;

pub use answer::{Answer, Failure, FailureKind, Outcome};
pub use device::{Device, DeviceSpec, Mount};
pub use hello::Hello;
pub use invalid::Invalid;
pub use name::{HandlerName, InputName};
pub use properties::{Properties, PropertyValue};
pub use reading::Stopped;
pub use request::Request;
pub use request_id::RequestId;
pub use wake::Wake;

/// The version of the protocol that this crate speaks. A message that says another one is refused, never guessed at.
pub const PROTOCOL: u64 = 1;
