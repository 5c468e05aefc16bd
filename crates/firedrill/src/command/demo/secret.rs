//! `--secret-timeout`: somebody hides a time-out in the shop, and a search finds it.

use std::io::{self, BufRead as _, IsTerminal as _};
use std::path::Path;
use std::time::Duration;

use firedrill_demo::{Shop, ShopConfig, Stay};
use firedrill_experiment::units;
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};

use super::{config, late};
use crate::cli::{DemoArgs, GlobalArgs};
use crate::command::run::fresh_seed;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{BOLD, Out};

/// As a terminal sends it.
const CTRL_C: u8 = 3;

const SHORTEST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_millis(600);
/// The search knows no more than that it lies somewhere in here (milliseconds).
const RANGE: (u64, u64) = (10, 1000);
/// So that the gateway has patience with every time-out that may be hidden.
const TRY_TIMEOUT: Duration = Duration::from_millis(1500);

pub(super) fn find(
    args: &DemoArgs,
    global: &GlobalArgs,
    (exe, directory): (&Path, &Path),
    out: &Out,
) -> Result<Exit, Failure> {
    let secret = ask(out)?;
    let shop = ShopConfig {
        payments_timeout: secret,
        try_timeout: TRY_TIMEOUT,
        ..config(args)
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let shop = runtime.block_on(Shop::start(&shop, Stay::WithUs, exe, directory))?;
    drop(runtime);
    if !out.is_json() {
        out.line(format!(
            "{BOLD}How late may payments answer?{BOLD:#}  The search sees checkouts, and not the time-out."
        ))?;
    }
    let seed = args.seed.unwrap_or_else(fresh_seed);
    let found = late::search(shop.addresses(), RANGE, seed, global, out);
    shop.stop()?;
    let found = found?;
    match out.is_json() {
        true => out.json(&found.summary(secret))?,
        false => out.raw(found.describe("the secret one", secret).as_bytes())?,
    }
    Ok(found.exit())
}

fn ask(out: &Out) -> Result<Duration, Failure> {
    let line = if io::stdin().is_terminal() {
        out.ask(
            "How long do the shop's instances wait for payments (20ms to 600ms)? It is not shown: ",
        );
        let line = unseen()?;
        out.note("");
        line.ok_or_else(|| Failure::new(Exit::Halted, "cancelled; no shop was started"))?
    } else {
        read()?
    };
    let usage = || {
        Failure::usage("the secret time-out is a time from 20ms to 600ms")
            .hint("such as 137ms; a number alone is milliseconds")
    };
    let text = line.trim();
    let time = match text.parse::<u64>() {
        Ok(number) => Some(Duration::from_millis(number)),
        Err(_) => units::parse_duration(text).ok(),
    };
    time.filter(|time| (SHORTEST..=LONGEST).contains(time))
        .ok_or_else(usage)
}

fn read() -> io::Result<String> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line)
}

/// A line that the terminal does not show. None: Ctrl-C.
fn unseen() -> io::Result<Option<String>> {
    let _hidden = Hidden::begin()?;
    let mut line = Vec::new();
    let mut input = io::stdin().lock();
    loop {
        let typed = input.fill_buf()?;
        let end = typed.iter().position(|byte| [b'\n', CTRL_C].contains(byte));
        line.extend(&typed[..end.unwrap_or(typed.len())]);
        let (is_over, is_cancelled) = match end {
            Some(at) => (true, typed[at] == CTRL_C),
            None => (typed.is_empty(), false),
        };
        let read = end.map_or(typed.len(), |at| at + 1);
        input.consume(read);
        if is_over {
            return Ok((!is_cancelled).then(|| String::from_utf8_lossy(&line).into_owned()));
        }
    }
}

/// The terminal as it was, once this is dropped.
struct Hidden(Termios);

impl Hidden {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut hidden = before.clone();
        // As a signal, Ctrl-C would leave the terminal like this. As the end of a line it is read.
        hidden.local_modes &= !(LocalModes::ECHO | LocalModes::ISIG);
        hidden.special_codes[SpecialCodeIndex::VEOL] = CTRL_C;
        tcsetattr(io::stdin(), OptionalActions::Flush, &hidden)?;
        Ok(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // A terminal that went away needs no echo.
        let _gone = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}
