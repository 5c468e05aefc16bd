//! Secrets in HashiCorp Vault, by the configuration keys that Chaos Toolkit reads.
//!
//! <https://developer.hashicorp.com/vault/api-docs>

use std::time::Duration;

use firedrill_engine::effect::Outcome;
use firedrill_experiment::call::{Call, HttpCall};
use firedrill_experiment::scope::VaultRef;
use serde_json::{Map, Value, json};

use crate::provider::{Cancel, Providers};

const TIMEOUT: Duration = Duration::from_secs(10);
const SERVICE_ACCOUNT_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// Never holds a token or a secret.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    #[error("secret `{path}` is in a vault, and the configuration has no `vault_addr`")]
    NoAddress { path: String },
    #[error(
        "secret `{path}` is in a vault, and the configuration has none of `vault_token`, `vault_role_id` with `vault_role_secret`, `vault_sa_role`"
    )]
    NoCredentials { path: String },
    #[error("the service account's token could not be read from {file}")]
    ServiceAccount {
        file: String,
        source: std::io::Error,
    },
    #[error("the vault at {addr} did not answer `{request}`: {message}")]
    Unreachable {
        addr: String,
        request: String,
        message: String,
    },
    #[error("the vault at {addr} answered `{request}` with status {status}")]
    Status {
        addr: String,
        request: String,
        status: u64,
    },
    #[error("the vault has no key `{key}` at `{path}`")]
    NoKey { path: String, key: String },
}

/// The value of one reference: one key, or the whole mapping.
///
/// # Errors
/// Missing configuration, a vault that does not answer, a key that is not there.
pub(crate) async fn read(
    reference: &VaultRef,
    configuration: &Map<String, Value>,
    providers: &Providers,
) -> Result<Value, VaultError> {
    let text = |key: &str| configuration.get(key).and_then(Value::as_str);
    let addr = text("vault_addr").ok_or_else(|| VaultError::NoAddress {
        path: reference.path.clone(),
    })?;
    let vault = Vault {
        addr: addr.trim_end_matches('/'),
        providers,
    };
    let token = vault.token(reference, configuration).await?;
    let mount = text("vault_secrets_mount_point").unwrap_or("secret");
    let version_one = configuration
        .get("vault_kv_version")
        .is_some_and(|v| v == "1" || v == 1);
    let (request, data) = if version_one {
        (format!("/v1/{mount}/{}", reference.path), "/data")
    } else {
        (format!("/v1/{mount}/data/{}", reference.path), "/data/data")
    };
    let body = vault.ask("GET", &request, Some(&token), None).await?;
    let values = body.pointer(data).cloned().unwrap_or(Value::Null);
    match &reference.key {
        None => Ok(values),
        Some(key) => values.get(key).cloned().ok_or_else(|| VaultError::NoKey {
            path: reference.path.clone(),
            key: key.clone(),
        }),
    }
}

struct Vault<'a> {
    addr: &'a str,
    providers: &'a Providers,
}

impl Vault<'_> {
    async fn token(
        &self,
        reference: &VaultRef,
        configuration: &Map<String, Value>,
    ) -> Result<String, VaultError> {
        let text = |key: &str| configuration.get(key).and_then(Value::as_str);
        if let Some(token) = text("vault_token") {
            return Ok(token.to_owned());
        }
        let (request, login) =
            if let (Some(id), Some(secret)) = (text("vault_role_id"), text("vault_role_secret")) {
                (
                    "/v1/auth/approle/login".to_owned(),
                    json!({"role_id": id, "secret_id": secret}),
                )
            } else if let Some(role) = text("vault_sa_role") {
                let file = text("vault_sa_token_path").unwrap_or(SERVICE_ACCOUNT_TOKEN);
                let jwt = tokio::fs::read_to_string(file).await.map_err(|source| {
                    VaultError::ServiceAccount {
                        file: file.to_owned(),
                        source,
                    }
                })?;
                let mount = text("vault_k8s_mount_point").unwrap_or("kubernetes");
                (
                    format!("/v1/auth/{mount}/login"),
                    json!({"role": role, "jwt": jwt.trim()}),
                )
            } else {
                return Err(VaultError::NoCredentials {
                    path: reference.path.clone(),
                });
            };
        let body = self.ask("POST", &request, None, Some(login)).await?;
        let token = body.pointer("/auth/client_token").and_then(Value::as_str);
        token
            .map(str::to_owned)
            .ok_or_else(|| self.unreachable(&request, "the answer holds no token"))
    }

    async fn ask(
        &self,
        method: &str,
        request: &str,
        token: Option<&str>,
        arguments: Option<Value>,
    ) -> Result<Value, VaultError> {
        let mut headers = Map::new();
        headers.insert("Content-Type".into(), json!("application/json"));
        if let Some(token) = token {
            headers.insert("X-Vault-Token".into(), json!(token));
        }
        let call = Call::Http(HttpCall {
            url: format!("{}{request}", self.addr),
            method: method.into(),
            headers,
            arguments,
            connect_timeout: Some(TIMEOUT),
            read_timeout: Some(TIMEOUT),
            verify_tls: true,
            max_retries: 0,
        });
        let output = match self.providers.call(&call, Cancel::never()).await {
            Outcome::Succeeded(output) => output,
            Outcome::Failed(failure) | Outcome::Aborted(failure) => {
                return Err(self.unreachable(request, &failure.message));
            }
            Outcome::Interrupted(interruption) => {
                return Err(self.unreachable(request, &interruption.reason));
            }
        };
        match output.get("status").and_then(Value::as_u64) {
            Some(200..=299) => Ok(output.get("body").cloned().unwrap_or(Value::Null)),
            status => Err(VaultError::Status {
                addr: self.addr.to_owned(),
                request: request.to_owned(),
                status: status.unwrap_or_default(),
            }),
        }
    }

    fn unreachable(&self, request: &str, message: &str) -> VaultError {
        VaultError::Unreachable {
            addr: self.addr.to_owned(),
            request: request.to_owned(),
            message: message.to_owned(),
        }
    }
}
