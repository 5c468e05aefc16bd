//! TLS through a fabric, with rustls, curl and openssl on the other ends.

mod bed;
mod ended;
mod flaws;
mod hostile;
mod known;
mod messages;
mod nginx;
mod passed;
#[path = "../shared/nginx.rs"]
mod server;
