//! The proxy's side of the exchange directory.
//!
//! `dir` reads and writes files, trusting nothing in them; `answer` makes a list of one, in bounded memory; `bell` wakes the handler and feels its death; `folder` is
//! where this proxy's requests stand, and what becomes of those of dead ones; `job` is one discovery job; `hub` is the
//! task that owns all of it and decides. Nothing here knows gRPC.

mod answer;
mod bell;
mod dir;
mod folder;
mod hub;
mod job;
mod refusals;

pub(crate) use bell::Bell;
pub(crate) use dir::ExchangeDir;
pub(crate) use hub::{Hub, HubConfig, HubHandle, Subscription, request};
pub(crate) use job::View;
