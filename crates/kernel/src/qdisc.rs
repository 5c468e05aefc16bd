//! Queueing disciplines, and their configuration in a form that can be compared.
