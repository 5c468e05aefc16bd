//! `firedrill proxy`: the fault proxy, until it is interrupted.

use std::sync::Arc;
use std::time::Duration;

use firedrill_proxy::handover::{Estate, offer};
use firedrill_proxy::toxiproxy::{Api, NewProxy, ProxyConfig, ProxyView, StateFile, load, read};
use firedrill_proxy::{Fabric, Options};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::rand::{GetRandomFlags, getrandom};
use serde_json::json;

use crate::cli::ProxyArgs;
use crate::exit::Exit;
use crate::failure::{Failure, OrFail as _};
use crate::output::{BOLD, DIM, NAME, Out};

pub(super) fn execute(args: &ProxyArgs, out: &Out) -> Result<Exit, Failure> {
    raise_descriptors();
    let mut older = older(args)?;
    let known = args.seed.or(older.as_ref().map(|older| older.seed));
    let seed = known.map_or_else(random_seed, Ok)?;
    let threads = args.threads.map_or_else(cores, usize::from);
    let fabric = Fabric::start(&Options {
        threads,
        seed,
        arms_most: args.arms_most / 100.0,
        busy_poll: args.busy_poll,
    })
    .doing("the proxy cannot be started")?;
    let fabric = Arc::new(fabric);
    let (api, proxies) = match &mut older {
        Some(older) => {
            fabric.inherit(std::mem::take(&mut older.listeners));
            let listener = older.api.try_clone()?;
            let api = Api::inherit(listener, Arc::clone(&fabric))?;
            if let Some(key) = older.authority.take() {
                let taken = api.collection().go_on_with_authority(&key);
                taken.doing("the older proxy's authority for certificates cannot be taken over")?;
            }
            let kept = read(&older.proxies.to_string());
            (api, kept.map_err(|error| refused(&error.reasons))?)
        }
        None => {
            let api = Api::bind(args.api, Arc::clone(&fabric))
                .doing(format!("cannot listen on {}", args.api))
                .or_exit(Exit::Usage)
                .or_hint("another proxy may run already; --api chooses another address")?;
            (api, kept(args)?)
        }
    };
    if let Some(zone) = &args.zone {
        api.collection().be_in(zone);
    }
    write_authority(args, &api)?;
    let all = wanted(args, proxies)?;
    load(api.collection(), all).map_err(|error| refused(&error.reasons))?;
    keep(args, &api)?;
    let end = serve(args, api, older, seed, out)?;
    match end {
        End::Interrupted => {}
        End::Terminated => {
            fabric.listen_no_more();
            drain(&fabric, args.drain, out)?;
        }
        // The listeners are another's now.
        End::HandedOver => drain(&fabric, args.drain, out)?,
    }
    Ok(Exit::Held)
}

/// Why it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// By Ctrl-C: at once.
    Interrupted,
    Terminated,
    HandedOver,
}

/// What the proxy before this one has, if this one is to take over.
fn older(args: &ProxyArgs) -> Result<Option<Estate>, Failure> {
    let Some(path) = &args.hand_over else {
        return Ok(None);
    };
    Estate::ask(path)
        .doing(format!("{} does not hand over", path.display()))
        .or_exit(Exit::Usage)
}

/// First, so that a route may name it as whom to believe about another.
fn write_authority(args: &ProxyArgs, api: &Api) -> Result<(), Failure> {
    if let Some(path) = &args.tls_ca {
        let authority = api.collection().authority();
        let authority = authority.doing("there is no authority for certificates")?;
        std::fs::write(path, authority.pem())
            .doing(format!("cannot write {}", path.display()))
            .or_exit(Exit::Usage)?;
    }
    Ok(())
}

fn keep(args: &ProxyArgs, api: &Api) -> Result<(), Failure> {
    if let Some(path) = &args.state {
        let kept = api.collection().keep_in(StateFile::at(path));
        kept.doing(format!(
            "cannot keep what is answered in {}",
            path.display()
        ))
        .or_exit(Exit::Usage)?;
    }
    Ok(())
}

/// Answers the interface until the proxy is to end.
fn serve(
    args: &ProxyArgs,
    api: Api,
    older: Option<Estate>,
    seed: u64,
    out: &Out,
) -> Result<End, Failure> {
    let gone = Arc::new(tokio::sync::Notify::new());
    if let Some(older) = older {
        let taken = older.taken();
        taken.doing("the older proxy has not said that it accepts nothing more")?;
    }
    let offer = match &args.hand_over {
        Some(path) => {
            let (collection, told) = (Arc::clone(api.collection()), Arc::clone(&gone));
            let offer = offer(path, seed, api.listener()?, collection, move || {
                told.notify_one();
            });
            Some(offer.doing(format!("cannot hand over at {}", path.display()))?)
        }
        None => None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    // Who has been told that it runs may end it: from here on signals are heard.
    let stop = runtime.block_on(async { stop(gone) })?;
    tell(args, &api, seed, out)?;
    let (say, why) = std::sync::mpsc::channel();
    runtime.block_on(async {
        api.serve(async move {
            let _heard = say.send(stop.await);
        })
        .await
    })?;
    let end = why.try_recv().unwrap_or(End::Interrupted);
    if let Some(offer) = offer
        && end != End::HandedOver
    {
        offer.withdraw();
    }
    Ok(end)
}

/// Waits for what is open.
fn drain(fabric: &Fabric, limit: Duration, out: &Out) -> Result<(), Failure> {
    /// Between two looks.
    const LOOK: Duration = Duration::from_millis(20);
    let open = fabric.open_connections();
    if open == 0 {
        return Ok(());
    }
    out.note(format!(
        "{open} connections are open; they have {} s to end, Ctrl-C ends them",
        limit.as_secs_f64()
    ));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let ended = async {
            while fabric.open_connections() > 0 {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::select! {
            () = ended => {}
            () = tokio::time::sleep(limit) => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    });
    Ok(())
}

/// The proxies of the last time.
fn kept(args: &ProxyArgs) -> Result<Vec<ProxyConfig>, Failure> {
    let kept = match &args.state {
        Some(path) => StateFile::at(path).proxies(),
        None => Ok(Vec::new()),
    };
    kept.or_exit(Exit::Usage)
}

/// The proxies there were, and those of the file and of the command line that are new.
fn wanted(args: &ProxyArgs, mut all: Vec<ProxyConfig>) -> Result<Vec<ProxyConfig>, Failure> {
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
            check: route.check.clone(),
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

/// Each connection takes two descriptors, and the usual limit is for programs with few. What may be
/// raised is; beyond that, connections wait to be accepted.
fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    let _refused = setrlimit(Resource::Nofile, raised);
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

/// Ready when it is to end.
fn stop(gone: Arc<tokio::sync::Notify>) -> std::io::Result<impl Future<Output = End>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => End::Interrupted,
            _ = terminate.recv() => End::Terminated,
            () = gone.notified() => End::HandedOver,
        }
    })
}
