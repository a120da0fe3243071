//! What users apply, held against the code, and against the pod that the other tests make. Needs neither root nor images.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, too")]

mod applied;
mod code;
mod examples;
mod openyurt;
mod pod;
mod restricted;
mod security;
mod udev;
