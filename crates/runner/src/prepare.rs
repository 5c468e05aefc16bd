//! Configuration and secrets, from what the document declares to values.
//!
//! In Chaos Toolkit's order: configuration, secrets, then configuration that probes read.

use firedrill_engine::effect::Outcome;
use firedrill_experiment::call;
use firedrill_experiment::document::Experiment;
use firedrill_experiment::scope::{Scope, ScopeError, VarFile, load_configuration, load_secrets};
use serde_json::{Map, Value};

use crate::provider::{Cancel, Providers};
use crate::vault::{self, VaultError};

/// Why a drill cannot begin. Nothing was touched.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    #[error(transparent)]
    Scope(#[from] ScopeError),
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// Loads both blocks. `overrides` holds what `--var` and `--var-file` said.
///
/// # Errors
/// A variable that is missing, a value that does not convert, a vault that failed.
pub async fn load_scope(
    experiment: &Experiment,
    overrides: &VarFile,
    providers: &Providers,
) -> Result<Scope, PrepareError> {
    let env = environment(overrides);
    let mut loading =
        load_configuration(&experiment.configuration, &env, &overrides.configuration)?;
    let mut secrets = load_secrets(&experiment.secrets, &env, &overrides.secrets)?;
    // Vaults are asked before probes are: what probes read is not known yet.
    let declared = load_configuration(&experiment.configuration, &env, &overrides.configuration)?
        .into_configuration();
    for reference in std::mem::take(&mut secrets.vault) {
        let value = vault::read(&reference, &declared, providers).await?;
        secrets.fill(&reference, value);
    }
    let mut scope = Scope {
        secrets: secrets.values,
        ..Scope::default()
    };
    while let Some(dynamic) = loading.next_dynamic() {
        scope.configuration = loading.known().clone();
        let dynamic = dynamic.with_all_secrets(&scope);
        let Ok(call) = call::resolve(&dynamic.activity.provider, &scope) else {
            continue;
        };
        // As in Chaos Toolkit: without an output, the key stays unknown and `${name}` shows.
        if let Outcome::Succeeded(output) = providers.call(&call, Cancel::never()).await {
            loading.finish(&dynamic, &output);
        }
    }
    scope.configuration = loading.into_configuration();
    Ok(scope)
}

/// The variables that `env` entries see: of variable files first, then this process's own.
pub(crate) fn environment(overrides: &VarFile) -> impl Fn(&str) -> Option<String> {
    |name| {
        let given = overrides
            .environment
            .iter()
            .rev()
            .find(|(key, _)| key == name);
        given
            .map(|(_, value)| value.clone())
            .or_else(|| std::env::var(name).ok())
    }
}

/// Lays variable files and single variables over one another, the last one on top.
pub fn merge_overrides(files: Vec<VarFile>, vars: Vec<(String, Value)>) -> VarFile {
    let mut merged = VarFile::default();
    for file in files {
        merged.configuration.extend(file.configuration);
        merged.secrets.extend(file.secrets);
        merged.environment.extend(file.environment);
    }
    merged
        .configuration
        .extend(vars.into_iter().collect::<Map<_, _>>());
    merged
}
