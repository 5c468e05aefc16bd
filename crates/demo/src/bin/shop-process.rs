//! For this crate's tests. `shop-process shop ROLE --config JSON` is one process of the shop, as
//! `firedrill shop` is to users; `shop-process start DIRECTORY` starts a whole shop, writes its
//! pids as a line of JSON, and waits to be killed.

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use firedrill_demo::{Role, Shop, ShopConfig, Stay, run_role};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where it cannot be written there is nobody to read it.
            let _ = writeln!(std::io::stderr(), "{error}: {:?}", error.source());
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<(), Box<dyn Error>> {
    match words {
        ["shop", word, "--config", config] => {
            let role = Role::from_word(word).ok_or("no such role")?;
            match run_role(role, config)? {}
        }
        ["start", directory] => tokio::runtime::Runtime::new()?.block_on(start(directory.as_ref())),
        _ => Err("shop ROLE --config JSON, or start DIRECTORY".into()),
    }
}

async fn start(directory: &Path) -> Result<(), Box<dyn Error>> {
    let exe = std::env::current_exe()?;
    let shop = Shop::start(&ShopConfig::default(), Stay::WithUs, &exe, directory).await?;
    let pids: Vec<u32> = shop.processes().map(|(_, pid)| pid).collect();
    writeln!(std::io::stdout(), "{}", serde_json::to_string(&pids)?)?;
    std::future::pending::<()>().await;
    Ok(())
}
