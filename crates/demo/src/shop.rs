//! Starts the shop's processes, says where they are, and leaves none behind.

mod address;
mod config;
mod error;
mod kept;
mod process;
mod switching;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::roles::Role;
pub use address::{Addresses, WebAddress};
pub use config::ShopConfig;
pub use error::ShopError;
pub use kept::KeptShop;
use process::{Member, Nursery};
use switching::Switching;

/// How long the proxy may take to find every instance healthy.
const READY_WITHIN: Duration = Duration::from_secs(15);
const READY_POLL: Duration = Duration::from_millis(50);

/// Whether the shop's processes end with this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stay {
    /// They end when the [`Shop`] is stopped or dropped, and when this process ends in any way:
    /// the kernel kills them then, stopped ones too.
    WithUs,
    /// They stay after [`Shop::keep`]; a state file in the directory names them for
    /// [`KeptShop::stop`].
    Kept,
}

/// A running shop. Dropping it kills its processes.
#[derive(Debug)]
pub struct Shop {
    members: Vec<Member>,
    addresses: Addresses,
    directory: PathBuf,
    stay: Stay,
    /// Its thread is the parent that the processes end with.
    nursery: Nursery,
}

impl Shop {
    /// Starts every process of the shop as `EXE shop ROLE --config JSON`, and waits until the
    /// proxy finds all instances healthy. Logs and the state file go to `directory`, which is
    /// created if need be.
    ///
    /// # Errors
    /// A configuration outside its limits, a process that does not start, addresses that are
    /// taken, a shop that was kept in this directory and still runs. Whatever had been started is
    /// killed then.
    pub async fn start(
        config: &ShopConfig,
        stay: Stay,
        exe: &Path,
        directory: &Path,
    ) -> Result<Shop, ShopError> {
        config.check()?;
        std::fs::create_dir_all(directory).map_err(|source| ShopError::File {
            path: directory.to_owned(),
            source,
        })?;
        if KeptShop::find(directory)?.is_some_and(|kept| kept.is_running()) {
            return Err(ShopError::StillKept {
                directory: directory.to_owned(),
            });
        }
        let nursery = Nursery::new(exe, directory)?;
        let mut shop = Shop {
            members: Vec::new(),
            addresses: Addresses::unknown(),
            directory: directory.to_owned(),
            stay,
            nursery,
        };
        shop.start_members(config).await?;
        shop.wait_until_healthy().await?;
        Ok(shop)
    }

    /// Where everything listens.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The name and pid of each process: `web-1-a`, …, `web-spare`, `payments`, `proxy`, `gateway`.
    pub fn processes(&self) -> impl Iterator<Item = (&str, u32)> {
        self.members
            .iter()
            .map(|member| (member.name(), member.pid()))
    }

    /// Kills every process and waits for its end.
    ///
    /// # Errors
    /// The first process that could not be killed; the others are killed all the same.
    pub fn stop(mut self) -> Result<(), ShopError> {
        self.end_members()
    }

    /// Leaves the processes running. The shop must have been started with [`Stay::Kept`].
    ///
    /// # Errors
    /// When it was not; its processes are killed then.
    pub fn keep(mut self) -> Result<KeptShop, ShopError> {
        let directory = self.directory.clone();
        if self.stay != Stay::Kept {
            return Err(ShopError::NotKept { directory });
        }
        let kept = KeptShop::find(&directory)?.ok_or(ShopError::NotKept { directory })?;
        self.members.clear();
        Ok(kept)
    }

    async fn start_members(&mut self, config: &ShopConfig) -> Result<(), ShopError> {
        let parent = (self.stay == Stay::WithUs).then(std::process::id);
        let payments = config.payments(parent);
        self.start_member("payments", Role::Payments, None, &payments)
            .await?;
        self.addresses.payments = self.listening()?;
        let proxy = config.proxy(parent);
        self.start_member("proxy", Role::Proxy, None, &proxy)
            .await?;
        self.addresses.proxy = self.listening()?;
        let switching = Switching::at(self.addresses.proxy);
        let payments = switching.lead_to_payments(config, self.addresses.payments);
        let payments = payments.await?;
        for place in config.places() {
            let web = config.web(&place, payments, parent);
            self.start_member(&place.instance, Role::Web, Some(place.zone), &web)
                .await?;
            let address = self.listening()?;
            let (zone, drained) = (place.zone, place.drained);
            let web = WebAddress {
                zone,
                address,
                drained,
            };
            self.addresses.web.insert(place.instance, web);
        }
        let web = switching.lead_to_web(config, &self.addresses).await?;
        let gateway = config.gateway(web, parent);
        self.start_member("gateway", Role::Gateway, None, &gateway)
            .await?;
        self.addresses.gateway = self.listening()?;
        self.note()
    }

    async fn start_member(
        &mut self,
        name: &str,
        role: Role,
        zone: Option<u32>,
        config: &impl serde::Serialize,
    ) -> Result<(), ShopError> {
        let zone = zone.map_or(String::new(), |zone| format!(",zone={zone}"));
        let labels = format!("app=shop,role={}{zone},instance={name}", role.word());
        let member = self.nursery.spawn(name, role, &labels, config).await?;
        self.members.push(member);
        // Noted before it is waited for, so that a start that fails half-way can be cleaned up.
        self.note()?;
        match self.members.last_mut() {
            Some(member) => member.wait_until_listening(&self.directory).await,
            None => Ok(()),
        }
    }

    /// Where the last one listens.
    fn listening(&self) -> Result<std::net::SocketAddr, ShopError> {
        let member = self.members.last();
        member
            .and_then(Member::listening)
            .ok_or_else(|| ShopError::Silent {
                name: member.map_or_else(String::new, |member| member.name().to_owned()),
                log: self.directory.clone(),
            })
    }

    fn note(&self) -> Result<(), ShopError> {
        match self.stay {
            Stay::WithUs => Ok(()),
            Stay::Kept => kept::note(&self.directory, &self.addresses, &self.members),
        }
    }

    async fn wait_until_healthy(&mut self) -> Result<(), ShopError> {
        let switching = Switching::at(self.addresses.proxy);
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            let missing = switching.unhealthy(&self.addresses).await;
            // Whose end is why there is no answer, or no good one, is the error to tell of.
            for member in &mut self.members {
                member.check_alive(&self.directory)?;
            }
            let missing = missing?;
            if missing.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                let waited = READY_WITHIN;
                return Err(ShopError::NotHealthy { missing, waited });
            }
            sleep(READY_POLL).await;
        }
    }

    fn end_members(&mut self) -> Result<(), ShopError> {
        // All are killed before any is waited for: nothing may survive because another lingers.
        let killed: Vec<_> = self.members.iter_mut().map(Member::kill).collect();
        let ended: Vec<_> = self.members.drain(..).map(Member::reap).collect();
        killed.into_iter().chain(ended).collect::<Result<(), _>>()?;
        kept::forget(&self.directory)
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        if !self.members.is_empty() {
            // Nobody is left to tell; with `WithUs` the kernel ends what this could not.
            let _ = self.end_members();
        }
    }
}
