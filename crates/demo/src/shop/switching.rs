//! The shop's routes, made over the interface of its proxy.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::HeaderMap;
use hyper::{Method, StatusCode, Uri};
use serde_json::{Value, json};

use super::{Addresses, ShopConfig, ShopError};
use crate::roles::{Ask, Upstream};

/// How long an answer of the interface may take.
const WITHIN: Duration = Duration::from_secs(15);

/// The proxy's interface.
pub(super) struct Switching {
    api: Upstream,
}

impl Switching {
    pub(super) fn at(api: SocketAddr) -> Self {
        Switching {
            api: Upstream::new(api),
        }
    }

    /// Leads from an address to the place of payments, outside every zone.
    pub(super) async fn lead_to_payments(
        &self,
        config: &ShopConfig,
        payments: SocketAddr,
    ) -> Result<SocketAddr, ShopError> {
        let upstream = format!("{payments}@outside");
        self.lead("payments", config, config.payments_route(), &upstream)
            .await
    }

    /// Leads from an address to all web instances but those that are drained.
    pub(super) async fn lead_to_web(
        &self,
        config: &ShopConfig,
        addresses: &Addresses,
    ) -> Result<SocketAddr, ShopError> {
        let places = addresses.web.values();
        let places: Vec<String> = places
            .map(|web| format!("{}@{}", web.address, web.zone))
            .collect();
        let route = config.web_route();
        let listen = self.lead("web", config, route, &places.join("+")).await?;
        for web in addresses.web.values().filter(|web| web.drained) {
            let drain = json!({ "address": web.address });
            self.ask(Method::POST, "/proxies/web/endpoints", &drain)
                .await?;
        }
        Ok(listen)
    }

    /// The instances that have not been found healthy yet.
    pub(super) async fn unhealthy(&self, addresses: &Addresses) -> Result<Vec<String>, ShopError> {
        let target = "/proxies/web/endpoints";
        let endpoints = self.ask(Method::GET, target, &Value::Null).await?;
        let endpoints = endpoints.as_array().map(Vec::as_slice).unwrap_or_default();
        let is_healthy = |address: SocketAddr| {
            endpoints.iter().any(|endpoint| {
                endpoint["address"] == json!(address) && endpoint["healthy"] == Value::Bool(true)
            })
        };
        let web = addresses.web.iter();
        let missing = web.filter(|(_, web)| !is_healthy(web.address));
        Ok(missing.map(|(name, _)| name.clone()).collect())
    }

    async fn lead(
        &self,
        name: &str,
        config: &ShopConfig,
        listen: SocketAddr,
        upstream: &str,
    ) -> Result<SocketAddr, ShopError> {
        let route = json!({
            "name": name,
            "listen": listen,
            "upstream": upstream,
            "protocol": "http",
            "check": config.health_check(),
        });
        let made = self.ask(Method::POST, "/proxies", &route).await?;
        serde_json::from_value(made["listen"].clone()).map_err(|source| ShopError::Answer {
            asked: "/proxies",
            source,
        })
    }

    async fn ask(
        &self,
        method: Method,
        target: &'static str,
        body: &Value,
    ) -> Result<Value, ShopError> {
        let body = match body {
            Value::Null => Bytes::new(),
            body => Bytes::from(body.to_string()),
        };
        let ask = Ask {
            method,
            target: &Uri::from_static(target),
            headers: &HeaderMap::new(),
            body,
        };
        let reply = self.api.ask_afresh(&ask, WITHIN).await;
        let reply = reply.map_err(|why| ShopError::NoAnswer { asked: target, why })?;
        if !matches!(reply.status, StatusCode::OK | StatusCode::CREATED) {
            return Err(ShopError::Refused {
                asked: target,
                said: String::from_utf8_lossy(&reply.body).trim().to_owned(),
            });
        }
        serde_json::from_slice(&reply.body).map_err(|source| ShopError::Answer {
            asked: target,
            source,
        })
    }
}
