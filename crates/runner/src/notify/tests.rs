use super::*;
use crate::provider::ProvidersConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Answers one request with 200 and gives back what was asked.
async fn receiver() -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = Vec::new();
        loop {
            stream.read_buf(&mut bytes).await.unwrap();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if text.ends_with("}") || text.starts_with("GET") && text.ends_with("\r\n\r\n") {
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                    .await
                    .unwrap();
                return text;
            }
        }
    });
    (format!("http://{address}"), asked)
}

fn settings(channel: &Value) -> Settings {
    Settings::from(Map::from_iter([(
        "notifications".to_owned(),
        json!([channel]),
    )]))
}

async fn tell(channel: Value) -> Vec<String> {
    let providers = Providers::new(ProvidersConfig::default());
    notify(
        &settings(&channel),
        &providers,
        Happening::RunFailed,
        json!({"status": "failed"}),
        Some(json!("why")),
    )
    .await
}

#[tokio::test]
async fn a_channel_gets_the_event_as_json() {
    let (url, asked) = receiver().await;
    let problems = tell(json!({"type": "http", "url": format!("{url}/hook"), "headers": {"Authorization": "Bearer t"}})).await;
    assert_eq!(problems, Vec::<String>::new());
    let asked = asked.await.unwrap();
    assert!(
        asked.starts_with("POST /hook HTTP/1.1\r\n")
            && asked.contains("Authorization: Bearer t\r\n"),
        "{asked}"
    );
    let body: Value = serde_json::from_str(asked.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(
        (&body["name"], &body["phase"], &body["error"]),
        (&json!("run-failed"), &json!("run"), &json!("why"))
    );
    assert_eq!(body["payload"], json!({"status": "failed"}));
    assert!(body["ts"].as_f64().unwrap() > 1e9);
}

#[tokio::test]
async fn without_the_payload_it_is_a_get() {
    let (url, asked) = receiver().await;
    let channel = json!({"type": "http", "url": url, "forward_event_payload": false, "events": ["run-failed"]});
    assert_eq!(tell(channel).await, Vec::<String>::new());
    assert!(asked.await.unwrap().starts_with("GET / HTTP/1.1\r\n"));
}

#[tokio::test]
async fn a_channel_for_other_events_is_left_alone() {
    // Were it called, the refused connection would be a problem.
    let channel =
        json!({"type": "http", "url": "http://127.0.0.1:1/", "events": ["run-completed"]});
    assert_eq!(tell(channel).await, Vec::<String>::new());
}

#[tokio::test]
async fn what_goes_wrong_is_told_without_the_url() {
    let problems = tell(json!({"type": "http", "url": "http://127.0.0.1:1/hush?t=hush"})).await;
    assert!(
        problems[0].contains("127.0.0.1") && !problems[0].contains("hush"),
        "{problems:?}"
    );
    assert!(tell(json!({"type": "http"})).await[0].contains("no url"));
    assert!(tell(json!({"type": "plugin"})).await[0].contains("no module"));
    if crate::provider::process::find("python3", None).is_some() {
        assert!(
            tell(json!({"type": "plugin", "module": "firedrill_no_such"})).await[0]
                .contains("there is no")
        );
    }
}
