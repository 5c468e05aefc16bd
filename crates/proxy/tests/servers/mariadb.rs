//! MariaDB, with its command line.

use std::path::PathBuf;
use std::time::Duration;

use firedrill_proxy::message::{
    Kind, MessageFault, MysqlAction, MysqlError, MysqlFault, Pattern, Protocol, StatementMatch,
};
use tokio::process::Command;
use tokio::time::Instant;

use super::bed::{Server, delay, fabric, fault, free_address, program, route, run, run_with, told};

struct Mariadb {
    server: Server,
    client: PathBuf,
}

async fn server() -> Option<Mariadb> {
    let (client, mariadbd) = (program("mariadb", &[])?, program("mariadbd", &[])?);
    let install = program("mariadb-install-db", &[])?;
    let (home, address) = (tempfile::tempdir().expect("a directory"), free_address());
    let data = format!("--datadir={}", home.path().join("data").display());
    // Two that begin at the same time are in each other's way in a shared one.
    let temporary = format!("--tmpdir={}", home.path().display());
    // As root it would become somebody else, whom it does not find.
    let user = ["--user=root"];
    let user = if rustix::process::geteuid().is_root() {
        &user[..]
    } else {
        &[]
    };
    let first = [
        "--no-defaults",
        &data,
        &temporary,
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
    ];
    let output = run(&install, &[&first[..], user].concat()).await;
    assert!(output.status.success(), "{}", told(&output));
    let mut command = Command::new(mariadbd);
    command
        .args([
            "--no-defaults",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--local-infile=1",
            &data,
            &temporary,
        ])
        .args(user)
        .arg(format!("--port={}", address.port()))
        .arg(format!("--socket={}", home.path().join("socket").display()));
    Some(Mariadb {
        server: Server::start(command, address, home).await,
        client,
    })
}

impl Mariadb {
    /// What the client says to these statements; it goes on after an error.
    async fn sql(&self, port: u16, statements: &str) -> String {
        let port = port.to_string();
        let words = [
            "--no-defaults",
            "--protocol=tcp",
            "-h127.0.0.1",
            "-P",
            &port,
            "-uroot",
        ];
        let rest = ["--skip-ssl", "--local-infile=1", "-N", "-B", "--force"];
        told(&run_with(&self.client, &[&words[..], &rest].concat(), statements).await)
    }
}

fn on(like: &str, action: MysqlAction) -> MessageFault {
    let matching = StatementMatch::like(&Pattern::new(like));
    fault("ours", 1.0, Kind::Mysql(MysqlFault { matching, action }))
}

#[tokio::test]
async fn errors_delays_and_refusals_reach_the_client() {
    let Some(mariadb) = server().await else {
        return;
    };
    let (fabric, server) = (fabric(), &mariadb.server);
    let deadlock = MysqlError {
        code: 1213,
        state: "40001".parse().expect("a state"),
        message: "Deadlock found".into(),
    };
    let errors = on("insert into d.t values (*", MysqlAction::Error(deadlock));
    let port = route(&fabric, "errors", server, Protocol::Mysql, vec![errors]).port();
    let said = mariadb
        .sql(port, "create database d; create table d.t (n int); INSERT INTO d.t VALUES (1); select 'count', count(*) from d.t; insert into d.t select 7; select 'sum', sum(n) from d.t")
        .await;
    for part in ["ERROR 1213 (40001)", "Deadlock found", "count\t0", "sum\t7"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    let slow = on(
        "select 'slow'*",
        MysqlAction::Delay(delay(Duration::from_millis(300))),
    );
    let port = route(&fabric, "slow", server, Protocol::Mysql, vec![slow]).port();
    let start = Instant::now();
    assert!(mariadb.sql(port, "select 'slow'").await.contains("slow"));
    assert!(start.elapsed() >= Duration::from_millis(300));
    let refuse = on("*", MysqlAction::Refuse(MysqlError::of_connections()));
    let port = route(&fabric, "refuse", server, Protocol::Mysql, vec![refuse]).port();
    let said = mariadb.sql(port, "select 1").await;
    assert!(
        said.contains("ERROR 1040 (08004)") && said.contains("Too many connections"),
        "{said}"
    );
}

#[tokio::test]
async fn everything_that_a_session_does_passes_and_is_still_followed_behind_it() {
    let Some(mariadb) = server().await else {
        return;
    };
    let fabric = fabric();
    let at_last = on(
        "select 'at last'",
        MysqlAction::Error(MysqlError::of_statements()),
    );
    let port = route(
        &fabric,
        "whole",
        &mariadb.server,
        Protocol::Mysql,
        vec![at_last],
    )
    .port();
    let rows = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(rows.path(), "1\n2\n3\n").expect("rows");
    let statements = format!(
        "create database d; use d; create table t (n int, text longtext);
         delimiter //
         create procedure p() begin select 1; select 2 from t where false; select 'three'; end //
         delimiter ;
         call p();
         prepare s from 'select ? + 1'; set @a = 41; execute s using @a; deallocate prepare s;
         load data local infile '{}' into table t (n);
         select 'rows', count(*) from t;
         insert into t values (4, repeat('x', 1000000));
         select length(text), left(text, 900000) = repeat('x', 900000) from t where n = 4;
         select text from t where n = 4;
         select seq from seq_1_to_2000;
         select * from nowhere;
         show warnings;
         select 'at last'",
        rows.path().display()
    );
    let said = mariadb.sql(port, &statements).await;
    let brief: String = said.chars().filter(|c| *c != 'x').collect();
    for part in [
        "three",
        "42",
        "rows\t3",
        "1000000\t1",
        "\n2000\n",
        "ERROR 1146",
        "injected by firedrill",
    ] {
        assert!(said.contains(part), "{part} is not in {brief}");
    }
    assert!(said.contains(&"x".repeat(1_000_000)));
    let requests = fabric.requests("whole", None).expect("a route");
    assert_eq!((requests.badly, requests.ours), (2, 1), "{requests:?}");
}
