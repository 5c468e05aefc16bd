//! Real sockets through a fabric: what passes untouched, and what each fault does to it.

mod bed;
mod faults;
mod routes;
mod untouched;
