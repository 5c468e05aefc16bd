//! The realtime clock beside the raw monotonic one, and moving it.
