use super::*;
use crate::provider::{Failure, canceller};
use firedrill_experiment::journal::Interruption;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// Answers each connection in turn with the next of `answers`; the last one repeats. What was asked
/// comes through the channel.
async fn server(answers: &[&str]) -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (asked, asking) = mpsc::unbounded_channel();
    let answers: Vec<Vec<u8>> = answers
        .iter()
        .map(|answer| {
            answer
                .replace("{address}", &address.to_string())
                .into_bytes()
        })
        .collect();
    tokio::spawn(async move {
        for turn in 0.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _gone = asked.send(read_request(&mut stream).await);
            let answer = &answers[turn.min(answers.len() - 1)];
            let hang = answer.strip_suffix(b"(hang)");
            stream.write_all(hang.unwrap_or(answer)).await.unwrap();
            if hang.is_some() {
                tokio::spawn(async move {
                    let mut rest = Vec::new();
                    let _closed = stream.read_to_end(&mut rest).await;
                });
            }
        }
    });
    (format!("http://{address}"), asking)
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .filter_map(|line| {
                    line.to_lowercase()
                        .strip_prefix("content-length: ")
                        .map(str::to_owned)
                })
                .next_back()
                .map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                return text;
            }
        }
        if stream.read_buf(&mut bytes).await.unwrap() == 0 {
            return text;
        }
    }
}

fn ok(headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn get(url: &str) -> HttpCall {
    HttpCall {
        url: url.to_owned(),
        method: "GET".to_owned(),
        headers: Map::new(),
        arguments: None,
        connect_timeout: None,
        read_timeout: None,
        verify_tls: true,
        max_retries: 0,
    }
}

fn post(url: &str, arguments: Value) -> HttpCall {
    HttpCall {
        method: "post".to_owned(),
        arguments: Some(arguments),
        ..get(url)
    }
}

async fn outcome(call: &HttpCall) -> Outcome {
    run(&Client::new(), call, Cancel::never()).await
}

async fn value(call: &HttpCall) -> Value {
    match outcome(call).await {
        Outcome::Succeeded(value) => value,
        other => panic!("{other:?}"),
    }
}

async fn failure(call: &HttpCall) -> Failure {
    match outcome(call).await {
        Outcome::Failed(failure) => failure,
        other => panic!("{other:?}"),
    }
}

async fn abort(call: &HttpCall) -> String {
    match outcome(call).await {
        Outcome::Aborted(failure) => failure.exception.concat(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn header_names_keep_their_spelling_and_repeated_ones_are_joined() {
    let answer = ok(
        "ETag: z\r\nContent-type: text/plain\r\nX-a: 1\r\nx-A: 2\r\n",
        "hi",
    );
    let (url, _) = server(&[&answer]).await;
    let expected =
        json!({"ETag": "z", "Content-type": "text/plain", "X-a": "1, 2", "Content-Length": "2"});
    assert_eq!(
        value(&get(&url)).await,
        json!({"status": 200, "headers": expected, "body": "hi"})
    );
}

#[tokio::test]
async fn interim_responses_do_not_spoil_the_spelling() {
    let answer = format!(
        "HTTP/1.1 103 Early Hints\r\nLINK: x\r\n\r\n{}",
        ok("Link: y\r\n", "")
    );
    let (url, _) = server(&[&answer]).await;
    assert_eq!(value(&get(&url)).await["headers"]["Link"], "y");
}

#[tokio::test]
async fn a_body_is_parsed_only_when_its_type_is_exactly_json() {
    let (url, _) = server(&[
        &ok("Content-Type: application/json\r\n", "{\"a\": 1}"),
        &ok(
            "Content-Type: application/json; charset=utf-8\r\n",
            "{\"a\": 1}",
        ),
        &ok("Content-Type: application/json\r\n", "{nope"),
    ])
    .await;
    assert_eq!(value(&get(&url)).await["body"], json!({"a": 1}));
    assert_eq!(value(&get(&url)).await["body"], "{\"a\": 1}");
    assert!(
        abort(&get(&url))
            .await
            .starts_with("requests.exceptions.JSONDecodeError")
    );
}

#[tokio::test]
async fn a_server_error_is_an_output() {
    let (url, _) = server(&["HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"]).await;
    assert_eq!(value(&get(&url)).await["status"], 503);
}

#[tokio::test]
async fn get_sends_arguments_as_its_query() {
    let (url, mut asking) = server(&[&ok("", "")]).await;
    value(&HttpCall {
        arguments: Some(json!({"b": "x y", "n": null})),
        ..get(&format!("{url}/p?a=1"))
    })
    .await;
    let asked = asking.recv().await.unwrap();
    assert!(
        asked.starts_with("GET /p?a=1&b=x+y HTTP/1.1\r\n"),
        "{asked}"
    );
    assert!(
        asked.contains(&format!("Host: {}\r\n", &url[7..])),
        "{asked}"
    );
}

#[tokio::test]
async fn other_methods_send_a_form_unless_the_header_says_json() {
    let (url, mut asking) = server(&[&ok("", "")]).await;
    value(&post(&url, json!({"a": [1, true]}))).await;
    let asked = asking.recv().await.unwrap();
    assert!(
        asked.starts_with("POST / HTTP/1.1\r\n") && asked.ends_with("\r\n\r\na=1&a=True"),
        "{asked}"
    );
    assert!(
        asked.contains("Content-Type: application/x-www-form-urlencoded\r\n"),
        "{asked}"
    );

    let headers = |name: &str| Map::from_iter([(name.to_owned(), json!("application/json"))]);
    value(&HttpCall {
        headers: headers("Content-Type"),
        ..post(&url, json!({"a": 1}))
    })
    .await;
    assert!(asking.recv().await.unwrap().ends_with("\r\n\r\n{\"a\": 1}"));
    value(&HttpCall {
        headers: headers("content-type"),
        ..post(&url, json!({"a": 1}))
    })
    .await;
    assert!(asking.recv().await.unwrap().ends_with("\r\n\r\na=1"));
}

#[tokio::test]
async fn redirects_are_followed_and_forget_the_body() {
    let moved = "HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n";
    let (url, mut asking) = server(&[moved, &ok("", "here")]).await;
    assert_eq!(value(&post(&url, json!({"a": 1}))).await["body"], "here");
    assert!(asking.recv().await.unwrap().starts_with("POST / "));
    let second = asking.recv().await.unwrap();
    assert!(
        second.starts_with("GET /there ") && second.ends_with("\r\n\r\n"),
        "{second}"
    );
}

#[tokio::test]
async fn credentials_do_not_follow_a_redirect_to_another_server() {
    let (elsewhere, mut elsewhere_asked) = server(&[&ok("", "")]).await;
    let moved =
        format!("HTTP/1.1 307 Moved\r\nLocation: {elsewhere}/\r\nContent-Length: 0\r\n\r\n");
    let (url, mut asking) = server(&[&moved]).await;
    let headers = Map::from_iter([("Authorization".to_owned(), json!("Bearer hush"))]);
    value(&HttpCall {
        headers,
        ..get(&url)
    })
    .await;
    assert!(
        asking
            .recv()
            .await
            .unwrap()
            .contains("Authorization: Bearer hush")
    );
    assert!(!elsewhere_asked.recv().await.unwrap().contains("hush"));
}

#[tokio::test]
async fn a_redirect_loop_aborts_the_run() {
    let (url, _) =
        server(&["HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n"]).await;
    assert!(
        abort(&get(&url))
            .await
            .starts_with("requests.exceptions.TooManyRedirects")
    );
}

#[tokio::test]
async fn addresses_and_headers_that_cannot_be_used_abort_the_run() {
    assert!(abort(&get("nope")).await.contains("MissingSchema"));
    assert!(
        abort(&get("ftp://127.0.0.1/"))
            .await
            .contains("InvalidSchema")
    );
    assert!(abort(&get("http://")).await.contains("InvalidURL"));
    assert!(
        abort(&get("http:///127.0.0.1:1/"))
            .await
            .contains("InvalidURL")
    );
    for bad in [json!(5), json!("a\nb"), json!(" a"), json!("日")] {
        let headers = Map::from_iter([("X".to_owned(), bad)]);
        assert!(
            abort(&HttpCall {
                headers,
                ..get("http://127.0.0.1:1/")
            })
            .await
            .contains("InvalidHeader")
        );
    }
    assert!(
        abort(&post("http://127.0.0.1:1/", json!([1])))
            .await
            .contains("TypeError")
    );
    assert!(
        abort(&HttpCall {
            method: "GE T".into(),
            ..get("http://127.0.0.1:1/")
        })
        .await
        .contains("ValueError")
    );
}

#[tokio::test]
async fn a_refused_connection_fails_the_activity_and_keeps_secrets() {
    let failure = failure(&get("http://me:hush@127.0.0.1:1/token/hush?key=hush")).await;
    assert!(
        failure
            .message
            .starts_with("failed to connect to 127.0.0.1:1: Connection refused"),
        "{failure:?}"
    );
    assert!(!failure.exception.concat().contains("hush"));
}

#[tokio::test]
async fn credentials_in_an_address_are_sent_as_basic_authorization() {
    let (url, mut asking) = server(&[&ok("", "")]).await;
    value(&get(&url.replace("http://", "http://me:a%2Bb@"))).await;
    assert!(
        asking.recv().await.unwrap().contains(
            "Authorization: Basic bWU6YStj\r\n"
                .replace("YStj", "YSti")
                .as_str()
        )
    );
}

#[tokio::test]
async fn a_response_that_does_not_come_fails_the_activity() {
    let (url, _) = server(&["(hang)"]).await;
    let call = HttpCall {
        read_timeout: Some(Duration::from_millis(100)),
        ..get(&url)
    };
    let failure = failure(&call).await;
    assert_eq!(
        failure.exception,
        ["chaoslib.exceptions.ActivityFailed: activity took too long to complete\n"]
    );
}

#[tokio::test]
async fn a_body_that_stops_coming_fails_and_one_cut_short_aborts() {
    let (url, _) = server(&[
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n(hang)",
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbye",
    ])
    .await;
    let call = HttpCall {
        read_timeout: Some(Duration::from_millis(100)),
        ..get(&url)
    };
    assert!(failure(&call).await.message.contains("stopped coming"));
    assert!(abort(&call).await.contains("ChunkedEncodingError"));
}

#[tokio::test]
async fn what_is_no_http_fails_the_activity() {
    let (url, _) = server(&["SSH-2.0-OpenSSH\r\n"]).await;
    assert!(
        failure(&get(&url))
            .await
            .message
            .contains("before the response")
    );
}

#[tokio::test]
async fn retries_ask_again_after_a_broken_connection() {
    let (url, mut asking) = server(&["", "", &ok("", "third")]).await;
    assert!(
        failure(&HttpCall {
            max_retries: 0,
            ..get(&url)
        })
        .await
        .message
        .contains("before the response")
    );
    assert_eq!(
        value(&HttpCall {
            max_retries: 1,
            ..get(&url)
        })
        .await["body"],
        "third"
    );
    for _ in 0..3 {
        asking.recv().await.unwrap();
    }
    assert!(asking.try_recv().is_err());
}

#[tokio::test]
async fn a_response_beyond_the_limit_is_refused() {
    let (url, _) = server(&[&ok("", "0123456789")]).await;
    let request = Request {
        method: hyper::Method::GET,
        url: Url::parse(&url).unwrap(),
        headers: HeaderMap::new(),
        body: Vec::new(),
    };
    let limits = Limits {
        body_bytes_max: 9,
        ..Limits::default()
    };
    let error = Client::new().send(request, &limits).await.unwrap_err();
    assert!(
        matches!(error, TransferError::TooLarge { limit: 9 }),
        "{error}"
    );
}

#[tokio::test]
async fn a_cancel_ends_the_request_and_gives_the_reason() {
    let (url, mut asking) = server(&["(hang)"]).await;
    let (canceller, cancel) = canceller();
    let task = tokio::spawn(async move { run(&Client::new(), &get(&url), cancel).await });
    asking.recv().await.unwrap();
    canceller.cancel(Interruption {
        kind: "signal".into(),
        name: None,
        reason: "SIGTERM".into(),
    });
    match task.await.unwrap() {
        Outcome::Interrupted(interruption) => assert_eq!(interruption.reason, "SIGTERM"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_fails_the_activity() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let secure = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _gone = stream.write_all(b"HTTP/1.1 400 No\r\n\r\n").await;
        }
    });
    for verify_tls in [true, false] {
        let call = HttpCall {
            verify_tls,
            ..get(&secure)
        };
        assert!(
            failure(&call)
                .await
                .message
                .starts_with("failed to connect to 127.0.0.1")
        );
    }
}

#[tokio::test]
async fn latin_1_is_read_where_utf_8_does_not_fit() {
    let mut response = Response {
        status: 200,
        headers: Vec::new(),
        body: b"caf\xe9".to_vec(),
    };
    assert_eq!(body::text(&response), "caf\u{fffd}");
    response
        .headers
        .push(("content-type".to_owned(), "text/plain".to_owned()));
    assert_eq!(body::text(&response), "café");
    response.body = "café".into();
    assert_eq!(body::text(&response), "café");
}
