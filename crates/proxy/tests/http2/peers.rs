//! A client and a server that are not ours (the crate `h2`), with a session between them.

use std::time::Duration;

use bytes::Bytes;
use firedrill_proxy::chance::Chance;
use firedrill_proxy::message::{Http2, MessageFault, Session, Sink};
use firedrill_proxy::stream::{Direction, End};
use h2::client::SendRequest;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, Response, StatusCode};
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, duplex,
};
use tokio::time::{Instant, sleep_until};

/// The session's connection, in all tests.
pub(crate) const CHANCE: Chance = Chance::new(7);

/// What a session said.
#[derive(Default)]
pub(crate) struct Said {
    pub(crate) bytes: [Vec<u8>; 2],
    pub(crate) ends: [Option<End>; 2],
}

impl Sink for Said {
    fn send(&mut self, direction: Direction, bytes: &[u8]) {
        self.bytes[direction as usize].extend_from_slice(bytes);
    }

    fn end(&mut self, direction: Direction, end: End) {
        self.ends[direction as usize].get_or_insert(end);
    }
}

/// How an answer came out.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Option<HeaderMap>,
    /// How its body broke off.
    pub(crate) broken: Option<Reason>,
    pub(crate) after: Duration,
}

/// A client whose connection goes through a session, to a server that answers like this.
pub(crate) async fn connect(faults: &[MessageFault], window: u32) -> SendRequest<Bytes> {
    let (client, near) = duplex(4096);
    let (far, server) = duplex(4096);
    let session = Http2::new(CHANCE, faults);
    tokio::spawn(carry(near, far, session));
    tokio::spawn(serve(server, window));
    begin(client, window).await
}

/// A client on this.
pub(crate) async fn begin(
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    window: u32,
) -> SendRequest<Bytes> {
    let mut builder = h2::client::Builder::new();
    builder
        .initial_window_size(window)
        .initial_max_send_streams(1000);
    let (send, connection) = builder.handshake(io).await.expect("a handshake");
    tokio::spawn(async move {
        connection.await.expect("a connection that ends well");
    });
    send
}

/// Something that a session has to be told.
enum Event {
    Read(Direction, usize),
    Written(Direction, usize),
    Due,
}

/// Moves bytes, in parts of sizes that have nothing to do with frames. Neither side waits for the
/// other.
async fn carry(client: DuplexStream, upstream: DuplexStream, mut session: Http2) {
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_upstream, mut to_upstream) = tokio::io::split(upstream);
    let mut buffers = [vec![0; 3000], vec![0; 3000]];
    let mut reading = [true; 2];
    let mut said = Said::default();
    let mut sizes = CHANCE.named("sizes");
    loop {
        sizes = sizes.of(0);
        let size = 1 + sizes.below(2999) as usize;
        let [up, down] = &mut buffers;
        let due = session.due().map(Instant::from_std);
        let wake = sleep_until(due.unwrap_or_else(Instant::now));
        let [may_up, may_down] = [Direction::Upstream, Direction::Downstream].map(|direction| {
            let waits = said.bytes[direction as usize].len();
            reading[direction as usize] && session.has_room(direction) && waits < 10_000
        });
        let [up_waits, down_waits] = &said.bytes;
        let event = tokio::select! {
            n = from_client.read(&mut up[..size]), if may_up => {
                Event::Read(Direction::Upstream, n.unwrap_or(0))
            }
            n = from_upstream.read(&mut down[..size]), if may_down => {
                Event::Read(Direction::Downstream, n.unwrap_or(0))
            }
            n = to_upstream.write(up_waits), if !up_waits.is_empty() => {
                Event::Written(Direction::Upstream, n.unwrap_or(up_waits.len()))
            }
            n = to_client.write(down_waits), if !down_waits.is_empty() => {
                Event::Written(Direction::Downstream, n.unwrap_or(down_waits.len()))
            }
            () = wake, if due.is_some() => Event::Due,
            else => return,
        };
        let now = Instant::now().into_std();
        match event {
            Event::Due => session.wake(now, &mut said),
            Event::Written(direction, n) => drop(said.bytes[direction as usize].drain(..n)),
            Event::Read(direction, 0) => {
                reading[direction as usize] = false;
                session.end(direction, now, &mut said);
            }
            Event::Read(direction, n) => {
                let bytes = &buffers[direction as usize][..n];
                session.receive(direction, bytes, now, &mut said);
            }
        }
        let [up, down] = &said.bytes;
        let [up_ends, down_ends] = said.ends.map(|end| end.is_some());
        if up_ends && up.is_empty() {
            let _gone = to_upstream.shutdown().await;
        }
        if down_ends && down.is_empty() {
            let _gone = to_client.shutdown().await;
        }
    }
}

/// Answers each request with what it saw: the path in a header, the body's bytes backwards, and
/// its own length in a trailer.
pub(crate) async fn serve(io: impl AsyncRead + AsyncWrite + Unpin, window: u32) {
    let mut builder = h2::server::Builder::new();
    builder
        .initial_window_size(window)
        .max_concurrent_streams(1000);
    let mut connection = builder
        .handshake::<_, Bytes>(io)
        .await
        .expect("a handshake");
    while let Some(next) = connection.accept().await {
        let (request, respond) = next.expect("a connection that ends well");
        tokio::spawn(answer(request, respond));
    }
}

async fn answer(request: Request<RecvStream>, mut respond: h2::server::SendResponse<Bytes>) {
    let path = request.uri().path().to_owned();
    let seen = request.headers().get("x-added").cloned();
    let messages = request.headers().get("x-messages");
    let messages = messages.map(|count| count.to_str().expect("text").parse().expect("a number"));
    let (body, broken) = collect(request.into_body()).await;
    if broken.is_some() {
        return;
    }
    if let Some(count) = messages {
        return answer_call(respond, &body, count).await;
    }
    let mut response = Response::builder().header("x-path", &path);
    if let Some(seen) = seen {
        response = response.header("x-seen", seen);
    }
    let response = response.body(()).expect("a response");
    let Ok(stream) = respond.send_response(response, false) else {
        return;
    };
    let mut trailers = HeaderMap::new();
    trailers.insert("x-length", body.len().into());
    let reversed: Vec<u8> = body.into_iter().rev().collect();
    send(stream, &reversed, Some(trailers)).await;
}

/// Answers a gRPC call with what it got, so many times.
async fn answer_call(mut respond: h2::server::SendResponse<Bytes>, body: &[u8], count: usize) {
    let response = Response::builder().header("content-type", "application/grpc");
    let response = response.body(()).expect("a response");
    let Ok(stream) = respond.send_response(response, false) else {
        return;
    };
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", 0.into());
    send(stream, &body.repeat(count), Some(trailers)).await;
}

/// Sends a body as the windows let it; gives up when the other side does.
pub(crate) async fn send(mut stream: SendStream<Bytes>, body: &[u8], trailers: Option<HeaderMap>) {
    let mut rest = body;
    while !rest.is_empty() {
        stream.reserve_capacity(rest.len());
        let capacity = std::future::poll_fn(|context| stream.poll_capacity(context)).await;
        let Some(Ok(capacity)) = capacity else {
            return;
        };
        let (part, behind) = rest.split_at(capacity.min(rest.len()));
        if stream
            .send_data(Bytes::copy_from_slice(part), false)
            .is_err()
        {
            return;
        }
        rest = behind;
    }
    let _given_up = match trailers {
        Some(trailers) => stream.send_trailers(trailers),
        None => stream.send_data(Bytes::new(), true),
    };
}

async fn collect(mut stream: RecvStream) -> (Vec<u8>, Option<Reason>) {
    let mut body = Vec::new();
    while let Some(part) = stream.data().await {
        match part {
            Ok(part) => {
                stream
                    .flow_control()
                    .release_capacity(part.len())
                    .expect("capacity");
                body.extend_from_slice(&part);
            }
            Err(error) => return (body, error.reason()),
        }
    }
    (body, None)
}

/// One request with its answer, or the reason why there is none.
pub(crate) async fn ask(
    client: &mut SendRequest<Bytes>,
    request: Request<()>,
    body: Vec<u8>,
) -> impl Future<Output = Result<Answer, Reason>> + use<> {
    let began = Instant::now();
    std::future::poll_fn(|context| client.poll_ready(context))
        .await
        .expect("a connection");
    let (response, stream) = client.send_request(request, false).expect("a stream");
    let sending = tokio::spawn(async move { send(stream, &body, None).await });
    async move {
        let response = response
            .await
            .map_err(|error| error.reason().expect("a reason"))?;
        let after = began.elapsed();
        let (head, mut stream) = response.into_parts();
        let mut body = Vec::new();
        let mut broken = None;
        while let Some(part) = stream.data().await {
            match part {
                Ok(part) => {
                    stream
                        .flow_control()
                        .release_capacity(part.len())
                        .expect("capacity");
                    body.extend_from_slice(&part);
                }
                Err(error) => {
                    broken = error.reason();
                    break;
                }
            }
        }
        let trailers = match broken {
            None => stream.trailers().await.expect("trailers, or none"),
            Some(_) => None,
        };
        sending.await.expect("a body that was sent");
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
            trailers,
            broken,
            after,
        })
    }
}
