//! From a URL to a stream: addresses, proxies, TLS.

use std::io;

use hyper::Uri;
use hyper::header::HeaderValue;
use hyper_util::client::proxy::matcher::Intercept;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::Url;

use super::{Limits, Shared, TransferError, authority, chain};

/// A proxy's answer to CONNECT is longer than this only by mistake.
const CONNECT_HEAD_BYTES_MAX: usize = 16 << 10;

pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

pub(super) struct Connected {
    pub(super) stream: Box<dyn Stream>,
    /// The other end is a proxy, which wants to be told the whole URL.
    pub(super) absolute_form: bool,
    pub(super) proxy_authorization: Option<HeaderValue>,
}

pub(super) async fn connect(
    shared: &Shared,
    url: &Url,
    limits: &Limits,
) -> Result<Connected, TransferError> {
    let origin = Origin::of(url);
    let proxy = url[..url::Position::AfterPort]
        .parse::<Uri>()
        .ok()
        .and_then(|uri| shared.proxies.intercept(&uri));
    match proxy {
        Some(proxy) => through(&proxy, shared, &origin, limits).await,
        None => direct(shared, &origin, limits).await,
    }
}

/// Who is to answer in the end.
struct Origin {
    /// As errors name it.
    host: String,
    /// As a URL writes it: an IPv6 address stands in brackets.
    bracketed: String,
    port: u16,
    secure: bool,
}

impl Origin {
    fn of(url: &Url) -> Self {
        Self {
            host: authority(url),
            bracketed: url.host_str().unwrap_or_default().to_owned(),
            port: url.port_or_known_default().unwrap_or(80),
            secure: url.scheme() == "https",
        }
    }

    /// As resolvers and certificates write it.
    fn name(&self) -> &str {
        unbracketed(&self.bracketed)
    }
}

fn unbracketed(host: &str) -> &str {
    host.trim_matches(['[', ']'])
}

async fn direct(
    shared: &Shared,
    origin: &Origin,
    limits: &Limits,
) -> Result<Connected, TransferError> {
    let stream = dial(origin.name(), origin.port, limits, &origin.host).await?;
    let stream = if origin.secure {
        encrypt(shared, stream, origin, limits).await?
    } else {
        Box::new(stream)
    };
    Ok(Connected {
        stream,
        absolute_form: false,
        proxy_authorization: None,
    })
}

/// An encrypted URL goes through a tunnel, a plain one is asked of the proxy itself.
async fn through(
    proxy: &Intercept,
    shared: &Shared,
    origin: &Origin,
    limits: &Limits,
) -> Result<Connected, TransferError> {
    let proxy_host = unbracketed(proxy.uri().host().unwrap_or_default());
    let failed = |reason: String| TransferError::Proxy {
        host: origin.host.clone(),
        proxy: proxy_host.to_owned(),
        reason,
    };
    if proxy.uri().scheme_str() != Some("http") {
        return Err(failed("only http:// proxies are supported".to_owned()));
    }
    let proxy_port = proxy.uri().port_u16().unwrap_or(80);
    let mut stream = dial(proxy_host, proxy_port, limits, &origin.host)
        .await
        .map_err(|error| failed(error.to_string()))?;
    let authorization = proxy.basic_auth();
    if !origin.secure {
        return Ok(Connected {
            stream: Box::new(stream),
            absolute_form: true,
            proxy_authorization: authorization.cloned(),
        });
    }
    let target = format!("{}:{}", origin.bracketed, origin.port);
    timeout(limits.connect, tunnel(&mut stream, &target, authorization))
        .await
        .map_err(|_| failed("it did not answer in time".to_owned()))?
        .map_err(|error| failed(error.to_string()))?;
    Ok(Connected {
        stream: encrypt(shared, stream, origin, limits).await?,
        absolute_form: false,
        proxy_authorization: None,
    })
}

/// The first address that answers.
async fn dial(
    name: &str,
    port: u16,
    limits: &Limits,
    host: &str,
) -> Result<TcpStream, TransferError> {
    let timed_out = || TransferError::ConnectTimeout {
        host: host.to_owned(),
    };
    let refused = |reason: String| TransferError::Connect {
        host: host.to_owned(),
        reason,
    };
    let addresses = timeout(limits.connect, lookup_host((name, port)))
        .await
        .map_err(|_| timed_out())?
        .map_err(|error| refused(chain(&error)))?;
    let mut last = refused("the name has no address".to_owned());
    for address in addresses {
        match timeout(limits.connect, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Only speed is lost without it.
                let _slower = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => last = refused(chain(&error)),
            Err(_) => last = timed_out(),
        }
    }
    Err(last)
}

async fn encrypt(
    shared: &Shared,
    stream: TcpStream,
    origin: &Origin,
    limits: &Limits,
) -> Result<Box<dyn Stream>, TransferError> {
    let failed = |reason: String| TransferError::Tls {
        host: origin.host.clone(),
        reason,
    };
    let config = shared.tls.config(limits.verify_tls).map_err(failed)?;
    let name = ServerName::try_from(origin.name().to_owned())
        .map_err(|error| failed(error.to_string()))?;
    let stream = timeout(
        limits.connect,
        TlsConnector::from(config).connect(name, stream),
    )
    .await
    .map_err(|_| TransferError::ConnectTimeout {
        host: origin.host.clone(),
    })?
    .map_err(|error| failed(chain(&error)))?;
    Ok(Box::new(stream))
}

/// <https://www.rfc-editor.org/rfc/rfc9110#CONNECT>
async fn tunnel(
    stream: &mut TcpStream,
    target: &str,
    authorization: Option<&HeaderValue>,
) -> io::Result<()> {
    let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").into_bytes();
    if let Some(authorization) = authorization {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(authorization.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    stream.write_all(&request).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > CONNECT_HEAD_BYTES_MAX {
            return Err(io::Error::other("its answer is too long"));
        }
        // One byte at a time: what follows belongs to the tunnel.
        head.push(stream.read_u8().await?);
    }
    let status = String::from_utf8_lossy(&head)
        .split(' ')
        .nth(1)
        .unwrap_or_default()
        .to_owned();
    if status.starts_with('2') {
        Ok(())
    } else {
        Err(io::Error::other(format!("it answered {status}")))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Client, Request};
    use super::*;
    use hyper::header::HeaderMap;
    use hyper_util::client::proxy::matcher::Matcher;
    use std::sync::Arc;
    use tokio::net::TcpListener;

    /// Asks for `url` through a proxy that gives `answer`; what the proxy was asked comes second.
    async fn through_proxy(
        url: &str,
        answer: &'static str,
    ) -> (Result<u16, TransferError>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = format!("http://me:pw@{}", listener.local_addr().unwrap());
        let asked = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = Vec::new();
            while !bytes.ends_with(b"\r\n\r\n") {
                stream.read_buf(&mut bytes).await.unwrap();
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8(bytes).unwrap()
        });
        let proxies = Matcher::builder().all(proxy).no("127.0.0.9").build();
        let client = Client(Arc::new(Shared {
            tls: super::super::tls::Tls::default(),
            proxies,
        }));
        let request = Request::get(Url::parse(url).unwrap(), HeaderMap::new());
        let status = client
            .send(
                request,
                &Limits {
                    verify_tls: false,
                    ..Limits::default()
                },
            )
            .await;
        (status.map(|response| response.status), asked.await.unwrap())
    }

    #[tokio::test]
    async fn a_proxy_is_told_the_whole_url_and_who_asks() {
        let (status, asked) =
            through_proxy("http://shop.test:81/a?b", "HTTP/1.1 204 No\r\n\r\n").await;
        assert_eq!(status.unwrap(), 204);
        assert!(
            asked.starts_with("GET http://shop.test:81/a?b HTTP/1.1\r\n"),
            "{asked}"
        );
        assert!(
            asked.contains("Proxy-Authorization: Basic bWU6cHc=\r\n")
                && asked.contains("Host: shop.test:81\r\n")
        );
    }

    #[tokio::test]
    async fn an_encrypted_url_goes_through_a_tunnel() {
        let (status, asked) = through_proxy("https://shop.test/a", "HTTP/1.1 403 No\r\n\r\n").await;
        assert!(
            asked.starts_with("CONNECT shop.test:443 HTTP/1.1\r\nHost: shop.test:443\r\n"),
            "{asked}"
        );
        assert!(!asked.contains("/a"));
        let error = status.unwrap_err().to_string();
        assert!(
            error.contains("through the proxy 127.0.0.1: it answered 403") && !error.contains("pw"),
            "{error}"
        );
    }
}
