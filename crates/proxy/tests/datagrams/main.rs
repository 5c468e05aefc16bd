//! Datagrams through a fabric, over real sockets.

mod bed;
mod faults;
mod flows;
mod names;
