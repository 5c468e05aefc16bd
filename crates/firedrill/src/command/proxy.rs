//! `firedrill proxy`: the fault proxy, until it is interrupted.

use std::sync::Arc;

use firedrill_proxy::toxiproxy::{Api, NewProxy, ProxyConfig, ProxyView, StateFile, load, read};
use firedrill_proxy::{Fabric, Options};
use rustix::rand::{GetRandomFlags, getrandom};
use serde_json::json;

use crate::cli::ProxyArgs;
use crate::exit::Exit;
use crate::failure::{Failure, OrFail as _};
use crate::output::{BOLD, DIM, NAME, Out};

pub(super) fn execute(args: &ProxyArgs, out: &Out) -> Result<Exit, Failure> {
    let seed = args.seed.map_or_else(random_seed, Ok)?;
    let threads = args.threads.map_or_else(cores, usize::from);
    let fabric = Fabric::start(&Options {
        threads,
        seed,
        arms_most: args.arms_most / 100.0,
    })
    .doing("the proxy cannot be started")?;
    let api = Api::bind(args.api, Arc::new(fabric))
        .doing(format!("cannot listen on {}", args.api))
        .or_exit(Exit::Usage)
        .or_hint("another proxy may run already; --api chooses another address")?;
    if let Some(zone) = &args.zone {
        api.collection().be_in(zone);
    }
    // First, so that a route may name it as whom to believe about another.
    if let Some(path) = &args.tls_ca {
        let authority = api.collection().authority();
        let authority = authority.doing("there is no authority for certificates")?;
        std::fs::write(path, authority.pem())
            .doing(format!("cannot write {}", path.display()))
            .or_exit(Exit::Usage)?;
    }
    load(api.collection(), wanted(args)?).map_err(|error| refused(&error.reasons))?;
    tell(args, &api, seed, out)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let stop = stop()?;
        api.serve(stop).await
    })?;
    Ok(Exit::Held)
}

/// The proxies of the last time, and those of the file and of the command line that are new.
fn wanted(args: &ProxyArgs) -> Result<Vec<ProxyConfig>, Failure> {
    let kept = match &args.state {
        Some(path) => StateFile::at(path).proxies(),
        None => Ok(Vec::new()),
    };
    let mut all = kept.or_exit(Exit::Usage)?;
    let known: Vec<String> = all.iter().map(|kept| kept.proxy.name.clone()).collect();
    let asked = asked(args)?.into_iter();
    all.extend(asked.filter(|asked| !known.contains(&asked.proxy.name)));
    Ok(all)
}

fn asked(args: &ProxyArgs) -> Result<Vec<ProxyConfig>, Failure> {
    let mut all = Vec::new();
    if let Some(path) = &args.config {
        let text = std::fs::read_to_string(path)
            .doing(format!("cannot read {}", path.display()))
            .or_exit(Exit::Usage)?;
        all = read(&text).map_err(|error| refused(&error.reasons))?;
    }
    let routes = args.routes.iter().map(|route| ProxyConfig {
        proxy: NewProxy {
            name: route.name.clone(),
            listen: route.listen.clone(),
            upstream: route.upstream.clone(),
            protocol: route.protocol,
            split: None,
            tls: route.tls.clone(),
            enabled: None,
        },
        toxics: Vec::new(),
    });
    all.extend(routes);
    Ok(all)
}

fn refused(reasons: &[String]) -> Failure {
    let reasons = reasons.join("\n  ");
    Failure::usage(format!("these proxies cannot be made:\n  {reasons}"))
}

/// What runs now, and how to reach it.
fn tell(args: &ProxyArgs, api: &Api, seed: u64, out: &Out) -> Result<(), Failure> {
    let proxies = api.collection().all();
    let address = api.address();
    if out.is_json() {
        return out.json(&json!({ "api": address, "seed": seed, "proxies": proxies }));
    }
    for ProxyView {
        name,
        listen,
        upstream,
        ..
    } in &proxies
    {
        out.line(format!("{NAME}{name}{NAME:#}  {listen} -> {upstream}"))?;
    }
    let whose = match args.seed {
        Some(_) => "",
        None => " (random; --seed repeats it)",
    };
    out.line(format!(
        "{BOLD}interface{BOLD:#}  http://{address}  {DIM}seed {seed}{whose}, Ctrl-C ends it{DIM:#}"
    ))
}

fn random_seed() -> Result<u64, Failure> {
    let mut bytes = [0; 8];
    getrandom(&mut bytes, GetRandomFlags::empty())?;
    // Short enough to be typed again.
    Ok(u64::from_ne_bytes(bytes) % 1_000_000_000)
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Ready when somebody wants it to end.
fn stop() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
