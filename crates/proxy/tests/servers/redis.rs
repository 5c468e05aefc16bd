//! redis-server, with redis-cli and redis-benchmark.

use std::path::PathBuf;
use std::time::Duration;

use firedrill_proxy::message::{
    Kind, MessageFault, Pattern, Protocol, RedisAction, RedisError, RedisFault, RedisMatch,
};
use tokio::process::Command;
use tokio::time::Instant;

use super::bed::{Server, delay, fabric, fault, free_address, program, route, run, told};

async fn server() -> Option<(Server, PathBuf, PathBuf)> {
    let (server, cli) = (program("redis-server", &[])?, program("redis-cli", &[])?);
    let benchmark = program("redis-benchmark", &[])?;
    let (home, address) = (tempfile::tempdir().expect("a directory"), free_address());
    let mut command = Command::new(server);
    command
        .args(["--save", "", "--bind", "127.0.0.1", "--port"])
        .arg(address.port().to_string())
        .arg("--dir")
        .arg(home.path());
    Some((Server::start(command, address, home).await, cli, benchmark))
}

fn on(commands: &[&str], key: &str, action: RedisAction) -> MessageFault {
    let matching = RedisMatch {
        commands: commands.iter().map(ToString::to_string).collect(),
        key: Some(Pattern::new(key)),
    };
    fault("ours", 1.0, Kind::Redis(RedisFault { matching, action }))
}

#[tokio::test]
async fn errors_and_delays_reach_the_clients_that_they_are_for() {
    let Some((server, cli, _)) = server().await else {
        return;
    };
    let fabric = fabric();
    let loading =
        RedisError::new("LOADING Redis is loading the dataset in memory").expect("one line");
    let errors = on(&["GET"], "cart:*", RedisAction::Error(loading));
    let port = route(&fabric, "errors", &server, Protocol::Redis, vec![errors]).port();
    let port = port.to_string();
    for (words, answer) in [
        (&["SET", "cart:1", "full"][..], "OK"),
        (
            &["GET", "cart:1"],
            "LOADING Redis is loading the dataset in memory",
        ),
        (&["GET", "user:1"], ""),
        (
            &["-3", "GET", "cart:1"],
            "LOADING Redis is loading the dataset in memory",
        ),
        (&["-3", "GETRANGE", "cart:1", "0", "1"], "fu"),
    ] {
        let output = run(&cli, &[&["-p", &port], words].concat()).await;
        assert!(
            told(&output).contains(answer),
            "{words:?}: {}",
            told(&output)
        );
    }
    let slow = on(
        &["INCR"],
        "*",
        RedisAction::Delay(delay(Duration::from_millis(80))),
    );
    let port = route(&fabric, "slow", &server, Protocol::Redis, vec![slow]).port();
    let start = Instant::now();
    let output = run(&cli, &["-p", &port.to_string(), "-r", "5", "INCR", "n"]).await;
    assert!(start.elapsed() >= Duration::from_millis(400));
    assert!(told(&output).contains('5'), "{}", told(&output));
}

#[tokio::test]
async fn a_benchmark_passes_with_pipelines_and_its_errors_are_counted() {
    let Some((server, cli, benchmark)) = server().await else {
        return;
    };
    let fabric = fabric();
    // A fault that is for nobody, so that each command is looked at.
    let nobody = on(
        &["GET"],
        "nobody",
        RedisAction::Error(RedisError::default()),
    );
    let port = route(&fabric, "redis", &server, Protocol::Redis, vec![nobody]).port();
    let port = port.to_string();
    let words = ["-p", &port, "-n", "20000", "-c", "20", "-P", "16", "-q"];
    let output = run(
        &benchmark,
        &[&words[..], &["-t", "set,get,lrange_100,mset"]].concat(),
    )
    .await;
    assert!(output.status.success(), "{}", told(&output));
    let requests = fabric.requests("redis", None).expect("a route");
    assert!(
        requests.well > 80_000 && requests.badly == 0,
        "{requests:?}"
    );
    // Everything is there, and a value of a megabyte comes as it went.
    let output = run(
        &cli,
        &[
            "-p",
            &port,
            "EVAL",
            "return redis.call('SET', 'big', string.rep('x', 1048576))",
            "0",
        ],
    )
    .await;
    assert!(told(&output).contains("OK"));
    let output = run(&cli, &["-p", &port, "GET", "big"]).await;
    assert_eq!(output.stdout.len(), 1_048_577);
}
