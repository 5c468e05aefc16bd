//! The three-zone shop: a small real system on this machine to hold drills on.
//!
//! ```text
//!   load ──> gateway 127.0.0.1    ┌─ zone 1: web-1-a 127.0.1.1   web-1-b 127.0.1.2 ─┐
//!            (tries, time-outs)   ├─ zone 2: web-2-a 127.0.2.1   web-2-b 127.0.2.2 ─┤
//!                  │              ├─ zone 3: web-3-a 127.0.3.1   web-3-b 127.0.3.2 ─┤
//!                  ▼              │          web-spare 127.0.3.3 (drained)          ▼
//!            proxy 127.0.10.1 ────┘                           proxy 127.0.10.2 ──> payments
//!            (zones, health checks)                           (the same process)   127.0.100.1
//! ```
//!
//! Every name is a process of its own, found by fault selectors through its `FIREDRILL_LABELS`.
//! With the defaults an instance serves about 100 checkouts per second (2 workers of 20 ms), so
//! 250 per second survive the loss of one zone, and not of two: arithmetic, not a script. Change
//! the shop and the verdicts change.
//!
//! * [`shop`]: starts, finds and stops the processes; the configuration of the whole.
//! * [`roles`]: what each process does: web, payments, gateway, and the proxy between them, which
//!   is `firedrill proxy`'s.
//! * [`tour`]: the experiment documents of the two-minute tour, as data.
//!
//! Deliberately absent: running the drills, judging them, and any knowledge of faults; the shop
//! does not know that it is drilled. Needs no root.

pub mod roles;
pub mod shop;
pub mod tour;

pub use roles::{Role, RoleError, run_role};
pub use shop::{Addresses, KeptShop, Shop, ShopConfig, ShopError, Stay, WebAddress};
