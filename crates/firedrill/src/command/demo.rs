//! `firedrill demo`: a shop on this machine, drills on it, and what they found.
//!
//! The shop is real processes, the load real requests, the faults real faults; nothing here knows
//! how a drill will end.

mod canary;
mod kill;
mod late;
mod secret;

use std::path::{Path, PathBuf};

use firedrill_demo::{Addresses, KeptShop, Shop, ShopConfig, Stay, tour};
use firedrill_experiment::document::{Experiment, Strictness};
use firedrill_experiment::journal::{Journal, Verdict};
use firedrill_report::{HtmlOptions, html};
use serde_json::{Value, json};

use super::run::{Look, fresh_seed};
use crate::cli::{DemoArgs, GlobalArgs};
use crate::drill::{self, Order};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{BOLD, DIM, Out};
use crate::verdict;

const REPORT: &str = "firedrill-demo.html";

/// One drill of the tour: what is asked, and the document that asks it.
struct Act {
    question: &'static str,
    document: Value,
}

pub(super) fn execute(args: &DemoArgs, global: &GlobalArgs, out: &Out) -> Result<Exit, Failure> {
    let directory = global.state()?.path().join("demo");
    if args.stop {
        return stop(&directory, out);
    }
    let exe = std::env::current_exe()?;
    if args.secret_timeout {
        return secret::find(args, global, (&exe, &directory), out);
    }
    let stay = if args.keep { Stay::Kept } else { Stay::WithUs };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let shop = runtime.block_on(Shop::start(&config(args), stay, &exe, &directory))?;
    drop(runtime);
    introduce(&shop, args, out)?;
    let result = tour(&shop, args, global, &exe, out);
    match (args.keep, result) {
        (true, result) => {
            let kept = shop.keep()?;
            let exit = result?;
            invite(&kept, out)?;
            Ok(exit)
        }
        (false, result) => {
            shop.stop()?;
            result
        }
    }
}

fn tour(
    shop: &Shop,
    args: &DemoArgs,
    global: &GlobalArgs,
    exe: &Path,
    out: &Out,
) -> Result<Exit, Failure> {
    let mut journals = Vec::new();
    let acts = acts(shop.addresses());
    let count = acts.len() + 2;
    for (number, act) in acts.into_iter().enumerate() {
        heading(number + 1, count, act.question, out)?;
        let journal = hold(with_rate(act.document, args.rate), global, out)?;
        if !out.is_json() {
            out.raw(verdict::describe(&journal).as_bytes())?;
        }
        let halted = journal
            .firedrill
            .as_ref()
            .is_some_and(|drill| drill.verdict == Verdict::Halted);
        journals.push(*journal);
        if halted {
            return Ok(Exit::Halted);
        }
    }
    let late = how_late(shop, (count - 1, count), args, global, out)?;
    if late.is_halted() {
        return Ok(Exit::Halted);
    }
    heading(
        count,
        count,
        "The drill itself is killed in the middle of a fault. Who undoes it?",
        out,
    )?;
    let killed = kill::drill(
        with_rate(tour::long_pause(shop.addresses()), args.rate),
        exe,
        global,
    )?;
    if !out.is_json() {
        out.raw(killed.describe().as_bytes())?;
    }
    let report = report(&journals, args)?;
    if out.is_json() {
        out.json(&summary(
            &journals,
            &late.summary(args.payments_timeout),
            &killed,
            report.as_deref(),
        ))?;
    } else if let Some(path) = &report {
        out.line(format!("\n{BOLD}Report{BOLD:#}  {}", path.display()))?;
        out.line(format!("{DIM}Next: firedrill demo --instances 4 (does a bigger shop survive more?), or --keep and try by hand.{DIM:#}"))?;
    }
    Ok(if killed.all_run_again() {
        Exit::Held
    } else {
        Exit::Failed
    })
}

/// The act that searches.
fn how_late(
    shop: &Shop,
    (number, count): (usize, usize),
    args: &DemoArgs,
    global: &GlobalArgs,
    out: &Out,
) -> Result<late::Late, Failure> {
    let question = "Payments answers later and later. How late is too late?";
    heading(number, count, question, out)?;
    let late = late::search(shop.addresses(), late::TOUR, fresh_seed(), global, out)?;
    if !out.is_json() {
        let told = late.describe("the shop's", args.payments_timeout);
        out.raw(told.as_bytes())?;
    }
    Ok(late)
}

fn config(args: &DemoArgs) -> ShopConfig {
    let default = ShopConfig::default();
    ShopConfig {
        zones: args.zones,
        instances: args.instances,
        retries: args.retries,
        payments_timeout: args.payments_timeout,
        try_timeout: args.try_timeout,
        port: if args.keep {
            ShopConfig::KEPT_PORT
        } else {
            default.port
        },
        ..default
    }
}

fn acts(addresses: &Addresses) -> Vec<Act> {
    vec![
        Act {
            question: "Zone 2 stops answering. Do customers notice?",
            document: tour::lose_a_zone(addresses),
        },
        Act {
            question: "Payments stops answering. Does the shop carry on without?",
            document: tour::lose_payments(addresses),
        },
        Act {
            question: "Two zones stop answering at once. Is the third one enough?",
            document: tour::lose_two_zones(addresses),
        },
        Act {
            question: "An instance that serves nobody stops answering. Everything stays green; is that proof?",
            document: tour::fault_without_traffic(addresses),
        },
        canary::act(addresses),
    ]
}

fn with_rate(mut document: Value, rate: f64) -> Value {
    for kpi in document
        .get_mut("kpis")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        if let Some(provider) = kpi.get_mut("provider").and_then(Value::as_object_mut) {
            provider.insert("rate".into(), json!(rate));
        }
    }
    document
}

fn hold(document: Value, global: &GlobalArgs, out: &Out) -> Result<Box<Journal>, Failure> {
    let experiment = Experiment::from_value(document, Strictness::Strict)
        .map_err(|mistakes| Failure::new(Exit::Failed, mistakes.lines().join("; ")))?;
    let order = Order::of_ours(experiment, "the demo", fresh_seed(), global.state()?);
    if order.experiment.canary.is_some() {
        return canary::hold(&order, out);
    }
    let mut look = Look::new(out, None, &order)?;
    let journal = drill::hold(order, |now, notice| look.see(now, &notice))?;
    look.ended();
    Ok(journal)
}

fn introduce(shop: &Shop, args: &DemoArgs, out: &Out) -> Result<(), Failure> {
    if out.is_json() {
        return Ok(());
    }
    let addresses = shop.addresses();
    out.line(format!(
        "{BOLD}A shop in {} zones, on this machine{BOLD:#}",
        args.zones
    ))?;
    for zone in 1..=addresses.zones() {
        let names: Vec<&str> = addresses.zone(zone).collect();
        out.line(format!(
            "  zone {zone}   127.0.{zone}.x   {}",
            names.join(", ")
        ))?;
    }
    out.line(format!(
        "  gateway  {}   {} ms a try, {} more; payments within {} ms, or without",
        addresses.checkout_url(),
        args.try_timeout.as_millis(),
        args.retries,
        args.payments_timeout.as_millis(),
    ))?;
    out.line(format!(
        "  proxy    http://{}/proxies   health checks, zones, and faults on `web` and `payments`",
        addresses.proxy,
    ))?;
    out.line(format!(
        "  load     {} checkouts/s, open loop: a slow shop does not slow its customers",
        args.rate
    ))
}

fn heading(number: usize, count: usize, question: &str, out: &Out) -> Result<(), Failure> {
    if out.is_json() {
        return Ok(());
    }
    out.line(format!("\n{BOLD}{number}/{count}  {question}{BOLD:#}"))
}

fn report(journals: &[Journal], args: &DemoArgs) -> Result<Option<PathBuf>, Failure> {
    if args.no_report {
        return Ok(None);
    }
    let path = args.report.clone().unwrap_or_else(|| PathBuf::from(REPORT));
    let options = HtmlOptions {
        title: Some("Firedrill: the tour of the shop".into()),
    };
    let parsed: Vec<_> = journals
        .iter()
        .map(|journal| serde_json::to_value(journal).and_then(serde_json::from_value))
        .collect::<Result<_, serde_json::Error>>()?;
    std::fs::write(&path, html(&parsed, &options)).map_err(|error| {
        Failure::new(
            Exit::Failed,
            format!("cannot write {}: {error}", path.display()),
        )
    })?;
    Ok(Some(std::path::absolute(&path)?))
}

fn summary(
    journals: &[Journal],
    late: &Value,
    killed: &kill::Killed,
    report: Option<&Path>,
) -> Value {
    let drills: Vec<Value> = journals
        .iter()
        .map(|journal| {
            let drill = journal.firedrill.as_ref();
            json!({
                "title": journal.experiment.get("title"),
                "verdict": drill.map(|drill| drill.verdict),
                "effect": drill.and_then(|drill| drill.effect),
                "reasons": drill.map(|drill| &drill.reasons),
                "recovery": drill.and_then(|drill| drill.recovery),
                "phases": drill.map(|drill| &drill.phases),
            })
        })
        .collect();
    json!({"drills": drills, "late-payments": late, "killed": killed, "report": report})
}

fn stop(directory: &Path, out: &Out) -> Result<Exit, Failure> {
    match KeptShop::find(directory)? {
        None => out.line("no shop was kept")?,
        Some(kept) => {
            let ended = kept.stop()?;
            out.line(format!("the shop is closed: {ended} processes ended"))?;
        }
    }
    Ok(Exit::Held)
}

fn invite(kept: &KeptShop, out: &Out) -> Result<(), Failure> {
    out.line(format!(
        "\n{BOLD}The shop stays open{BOLD:#} at {}",
        kept.addresses().checkout_url()
    ))?;
    for (name, pid) in kept.processes() {
        out.line(format!("  {name:<12} pid {pid}"))?;
    }
    out.line("\nTry:")?;
    let proxies = format!("http://{}/proxies", kept.addresses().proxy);
    for line in [
        "firedrill run experiments/chaos/lose-a-zone.json",
        "firedrill inject infrastructure.process-pause --target label.zone=2 --targets-max 2 --for 60s &",
        "firedrill status            what is active, whose, until when",
        "kill -9 %1                  kill the drill: its guardian undoes the fault",
        "firedrill halt              stop and undo now",
        &format!("curl {proxies}/web/endpoints    what its proxy knows of each instance"),
        &format!(
            "curl -d '{{\"type\":\"latency\",\"attributes\":{{\"latency\":300}}}}' {proxies}/payments/toxics"
        ),
        &format!("curl -X DELETE {proxies}/payments/toxics/latency_downstream"),
        "firedrill demo --stop       close the shop",
    ] {
        out.line(format!("  {line}"))?;
    }
    Ok(())
}
