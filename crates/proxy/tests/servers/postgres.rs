//! PostgreSQL, with psql and pgbench.

use std::path::{Path, PathBuf};
use std::time::Duration;

use firedrill_proxy::message::{
    Kind, MessageFault, Pattern, PostgresAction, PostgresError, PostgresFault, Protocol,
    StatementMatch,
};
use tokio::process::Command;
use tokio::time::Instant;

use super::bed::{Server, delay, fabric, fault, free_address, program, route, run, told};

struct Postgres {
    server: Server,
    psql: PathBuf,
    pgbench: PathBuf,
}

/// PostgreSQL does not run as root.
fn as_its_user(command: &mut Command, home: &Path) -> Option<()> {
    if !rustix::process::geteuid().is_root() {
        return Some(());
    }
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let line = users.lines().find(|line| line.starts_with("postgres:"));
    let Some(line) = line else {
        println!("skipped: there is no user postgres");
        return None;
    };
    let numbers: Vec<u32> = line
        .split(':')
        .skip(2)
        .take(2)
        .filter_map(|number| number.parse().ok())
        .collect();
    let (user, group) = (numbers[0], numbers[1]);
    std::os::unix::fs::chown(home, Some(user), Some(group)).expect("a directory for postgres");
    command.uid(user).gid(group);
    Some(())
}

async fn server() -> Option<Postgres> {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let places: Vec<PathBuf> = versions
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    let (psql, pgbench) = (program("psql", &places)?, program("pgbench", &places)?);
    let (initdb, postgres) = (program("initdb", &places)?, program("postgres", &places)?);
    let (home, address) = (tempfile::tempdir().expect("a directory"), free_address());
    let data = home.path().join("data");
    let mut init = Command::new(initdb);
    init.args(["--auth=trust", "--username=drill", "--no-sync", "-D"])
        .arg(&data);
    as_its_user(&mut init, home.path())?;
    let output = init
        .current_dir(home.path())
        .output()
        .await
        .expect("initdb");
    assert!(output.status.success(), "{}", told(&output));
    let mut command = Command::new(postgres);
    command
        .args(["-c", "fsync=off", "-c", "listen_addresses=127.0.0.1", "-p"])
        .arg(address.port().to_string())
        .arg("-k")
        .arg(home.path())
        .arg("-D")
        .arg(&data)
        .current_dir(home.path());
    as_its_user(&mut command, home.path())?;
    let server = Server::start(command, address, home).await;
    let postgres = Postgres {
        server,
        psql,
        pgbench,
    };
    // It listens before it lets anybody in.
    let start = Instant::now();
    while !postgres
        .sql(postgres.server.address.port(), &["select 1"])
        .await
        .contains('1')
    {
        assert!(start.elapsed() < Duration::from_secs(60));
    }
    Some(postgres)
}

impl Postgres {
    /// What psql says to these statements, each a query of its own.
    async fn sql(&self, port: u16, statements: &[&str]) -> String {
        let port = port.to_string();
        let mut words = vec![
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-U",
            "drill",
            "-d",
            "postgres",
        ];
        words.extend(["-X", "-A", "-t", "-v", "VERBOSITY=verbose"]);
        for statement in statements {
            words.extend(["-c", statement]);
        }
        told(&run(&self.psql, &words).await)
    }

    async fn bench(&self, port: u16, words: &[&str]) -> (bool, String) {
        let port = port.to_string();
        let all = ["-h", "127.0.0.1", "-p", &port, "-U", "drill"];
        let output = run(&self.pgbench, &[&all[..], words, &["postgres"]].concat()).await;
        (output.status.success(), told(&output))
    }
}

fn on(like: &str, action: PostgresAction) -> MessageFault {
    let matching = StatementMatch::like(&Pattern::new(like));
    fault(
        "ours",
        1.0,
        Kind::Postgres(PostgresFault { matching, action }),
    )
}

#[tokio::test]
async fn errors_delays_and_refusals_reach_psql() {
    let Some(postgres) = server().await else {
        return;
    };
    let fabric = fabric();
    let deadlock = PostgresError {
        state: "40P01".parse().expect("a state"),
        message: "deadlock detected".into(),
    };
    let server = &postgres.server;
    let errors = on("insert *", PostgresAction::Error(deadlock));
    let port = route(&fabric, "errors", server, Protocol::Postgres, vec![errors]).port();
    let said = postgres
        .sql(
            port,
            &[
                "create table t (n int)",
                "INSERT INTO t VALUES (1)",
                "select 'after', count(*) from t",
                "begin",
                "insert into t values (2)",
                "select 'spoilt'",
                "rollback",
                "select 'again', count(*) from t",
            ],
        )
        .await;
    for part in [
        "ERROR:  40P01: deadlock detected",
        "after|0",
        "25P02",
        "ROLLBACK",
        "again|0",
    ] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    assert!(
        !said.contains("\nspoilt") && !said.contains("firedrill"),
        "{said}"
    );

    let slow = on(
        "select pg_catalog*",
        PostgresAction::Delay(delay(Duration::from_millis(300))),
    );
    let port = route(&fabric, "slow", server, Protocol::Postgres, vec![slow]).port();
    let start = Instant::now();
    postgres.sql(port, &["select pg_catalog.now()"]).await;
    assert!(start.elapsed() >= Duration::from_millis(300));

    let refuse = on("*", PostgresAction::Refuse(PostgresError::of_connections()));
    let port = route(&fabric, "refuse", server, Protocol::Postgres, vec![refuse]).port();
    let said = postgres.sql(port, &["select 1"]).await;
    assert!(
        said.contains("FATAL:  the database system is starting up"),
        "{said}"
    );
}

#[tokio::test]
async fn pgbench_completes_with_simple_extended_and_prepared_queries() {
    let Some(postgres) = server().await else {
        return;
    };
    let fabric = fabric();
    let nobody = on(
        "nobody",
        PostgresAction::Error(PostgresError::of_statements()),
    );
    let port = route(
        &fabric,
        "whole",
        &postgres.server,
        Protocol::Postgres,
        vec![nobody],
    )
    .port();
    // Fills tables with COPY.
    let (well, said) = postgres.bench(port, &["-i", "-s", "2"]).await;
    assert!(well, "{said}");
    for mode in ["simple", "extended", "prepared"] {
        let words = ["-n", "-c", "4", "-t", "100", "-M", mode];
        let (well, said) = postgres.bench(port, &words).await;
        let done = "number of transactions actually processed: 400/400";
        assert!(well && said.contains(done), "{mode}: {said}");
    }
    let requests = fabric.requests("whole", None).expect("a route");
    assert!(requests.well > 8000 && requests.badly == 0, "{requests:?}");
}

#[tokio::test]
async fn pgbench_sees_serialization_failures_as_its_own_and_tries_again() {
    let Some(postgres) = server().await else {
        return;
    };
    let fabric = fabric();
    let failure = PostgresError {
        state: "40001".parse().expect("a state"),
        message: "could not serialize access".into(),
    };
    let mut fault = on("update pgbench_accounts*", PostgresAction::Error(failure));
    fault.share = 0.2;
    let port = route(
        &fabric,
        "some",
        &postgres.server,
        Protocol::Postgres,
        vec![fault],
    )
    .port();
    let (well, said) = postgres.bench(port, &["-i", "-s", "1"]).await;
    assert!(well, "{said}");
    for mode in ["simple", "extended", "prepared"] {
        let words = ["-n", "-c", "4", "-t", "50", "--max-tries=100", "-M", mode];
        let (well, said) = postgres.bench(port, &words).await;
        let done = "number of transactions actually processed: 200/200";
        assert!(well && said.contains(done), "{mode}: {said}");
        assert!(
            !said.contains("number of transactions retried: 0 "),
            "{mode}: {said}"
        );
    }
    // Each transaction happened once, and whole.
    let sums = "select (select sum(abalance) from pgbench_accounts) = (select sum(delta) from pgbench_history), count(*) from pgbench_history";
    let said = postgres.sql(postgres.server.address.port(), &[sums]).await;
    assert!(said.contains("t|600"), "{said}");
}
