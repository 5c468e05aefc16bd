//! TLS through a fabric, with rustls, curl and openssl on the other ends.

mod bed;
mod ended;
mod flaws;
mod hostile;
mod messages;
mod passed;
