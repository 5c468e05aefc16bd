//! Proxies whose traffic is divided into arms.

use std::collections::BTreeMap;

use super::{Collection, Proxy, ProxyView};
use crate::toxiproxy::answer::ApiError;
use crate::toxiproxy::split::SplitWords;

impl Collection {
    /// Divides the traffic of a proxy into arms, or lets it be whole again: at once, on the
    /// connections there are.
    ///
    /// # Errors
    /// When there is no such proxy, the split is wrong, or it is too much with those there are.
    pub fn divide(&self, name: &str, split: Option<SplitWords>) -> Result<ProxyView, ApiError> {
        self.divide_one(&mut self.proxies(), name, split)
    }

    /// Lets the traffic of a proxy be whole again, if it is this split that divides it: nobody's
    /// other goes instead, whoever changes it at the same time.
    ///
    /// # Errors
    /// When there is no such proxy, or no such split on it.
    pub fn undivide(&self, name: &str, split: &str) -> Result<(), ApiError> {
        let mut proxies = self.proxies();
        let proxy = proxies.get(name).ok_or(ApiError::ProxyNotFound)?;
        let is_it = proxy.split.as_ref().is_some_and(|one| one.name == split);
        if !is_it {
            return Err(ApiError::SplitNotFound);
        }
        self.divide_one(&mut proxies, name, None).map(drop)
    }

    fn divide_one(
        &self,
        proxies: &mut BTreeMap<String, Proxy>,
        name: &str,
        split: Option<SplitWords>,
    ) -> Result<ProxyView, ApiError> {
        let proxy = proxies.get_mut(name).ok_or(ApiError::ProxyNotFound)?;
        let divided = Proxy {
            split,
            ..proxy.clone()
        };
        let faults = divided.faults()?;
        if divided.enabled {
            self.fabric.change(name, faults)?;
        }
        *proxy = divided;
        let view = proxy.view(name);
        self.keep(proxies)?;
        Ok(view)
    }
}
