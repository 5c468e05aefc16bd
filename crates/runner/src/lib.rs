//! (frame)
pub mod provider;
