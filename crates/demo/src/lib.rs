//! The three-zone shop: a small real system on this machine to hold drills on.
//!
//! ```text
//!   load ──> router 127.0.0.1 ──┬── zone 1: web-1-a 127.0.1.1   web-1-b 127.0.1.2 ──┐
//!            (health checks,    ├── zone 2: web-2-a 127.0.2.1   web-2-b 127.0.2.2 ──┼──> payments
//!             retries,          └── zone 3: web-3-a 127.0.3.1   web-3-b 127.0.3.2 ──┘    127.0.100.1
//!             ejection)                     web-spare 127.0.3.3 (checked, drained: no traffic)
//! ```
//!
//! Every box is a process of its own, found by fault selectors through its `FIREDRILL_LABELS`.
//! With the defaults an instance serves about 100 checkouts per second (2 workers of 20 ms), so
//! 250 per second survive the loss of one zone, and not of two: arithmetic, not a script. Change
//! the shop and the verdicts change.
//!
//! * [`shop`]: starts, finds and stops the processes; the configuration of the whole.
//! * [`roles`]: what each process does: web, payments, router.
//! * [`tour`]: the experiment documents of the two-minute tour, as data.
//!
//! Deliberately absent: running the drills, judging them, and any knowledge of faults; the shop
//! does not know that it is drilled. Needs no root.

pub mod roles;
pub mod shop;
pub mod tour;

pub use roles::{Role, RoleError, run_role};
pub use shop::{Addresses, KeptShop, Shop, ShopConfig, ShopError, Stay, WebAddress};
