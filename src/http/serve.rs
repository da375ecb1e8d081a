//! Accepts connections and serves HTTP/1.1 on them, with the bounds that the framework's own loop
//! does not set.

use std::{convert::Infallible, io, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use axum::{Router, extract::ConnectInfo};
use hyper::{
    Request,
    body::{Body, Incoming},
    server::conn::http1,
    service::service_fn,
    upgrade::OnUpgrade,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

use super::{idle_connections::IdleConnections, linger::Requests, progress::watch};

/// How many connections may wait to be accepted: as many as the kernel allows (`net.core.somaxconn`), which takes
/// what is above that for that. The library's 1,024 are fewer than the phones that come at once when a replica has died.
const BACKLOG: u32 = 65_535;

/// How long the head of a request may take, and how long an idle connection is kept.
const HEADER_WAIT: Duration = Duration::from_secs(30);

/// The largest head of a request, in bytes. The library's floor is 8 KiB.
const HEAD_BYTES: usize = 16 * 1024;

/// How long to wait when the process is out of file descriptors or the like.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a client whose body was awaited, when the connection had to make room, has to read that.
const EVICTED_WAIT: Duration = Duration::from_secs(1);

/// A peer that is gone without a word is noticed below HTTP too: the kernel asks after this silence,
/// so often, in this interval. It also keeps the ways of routers and carriers open.
const KEEPALIVE_TIME: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_RETRIES: u32 = 3;

/// How long what was written may stay unacknowledged. Without it the kernel keeps the frames of a
/// phone that is gone for a quarter of an hour, also once the service has closed the socket.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_mins(1);

/// How many bytes the kernel takes for a connection before it has begun to send them; then a write
/// waits. Left to itself it takes megabytes, in which the frames of a client that does not read would
/// hide from the bounds of its queue. What is on its way is not counted, so a fast line stays fast.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 16 * 1024;

/// Listens at this address.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Or a restart would wait until the kernel forgets the connections that were.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves until `stop`; then accepts nothing new, lets requests end, and returns. At most `idle`
/// connections may stand without having sent a whole request.
pub async fn serve(listener: TcpListener, router: Router, idle: usize, stop: CancellationToken) {
    let idle = IdleConnections::new(idle);
    let connections = TaskTracker::new();
    while let Some(accepted) = stop.run_until_cancelled(accept(&listener)).await {
        match accepted {
            Ok((stream, peer)) => {
                let requests = connection(stream, peer, router.clone(), &idle, stop.clone());
                connections.spawn(async move {
                    if let Err(error) = requests.await {
                        tracing::debug!(%error, "connection ended early");
                    }
                });
            }
            // The client's fault, and gone with it.
            Err(error) if is_of_peer(&error) => {}
            Err(error) => {
                tracing::error!(%error, "no connection could be accepted");
                // Those that send nothing make room for one that may.
                idle.evict_oldest();
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    connections.close();
    connections.wait().await;
}

/// Accepts a connection, and sets its options.
async fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let (stream, peer) = listener.accept().await?;
    if let Err(error) = set_options(&stream) {
        tracing::debug!(%error, "options of a connection not set");
    }
    Ok((stream, peer))
}

/// Serves a connection to its end.
fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    idle: &Arc<IdleConnections>,
    stop: CancellationToken,
) -> impl Future<Output = Result<(), hyper::Error>> + Send + use<> {
    let (stream, progress) = watch(stream);
    let requests = Requests::new(idle, progress.clone());
    async move {
        // An upgrade that is refused: the library still hands the connection over to it at the end.
        let refused = Mutex::new(None);
        let service = service_fn(|request: Request<Incoming>| {
            let mut request = requests.begin(request);
            if !request.body().is_end_stream() {
                // Not of one with a body, whose bytes would be taken for frames.
                *refused.lock() = request.extensions_mut().remove::<OnUpgrade>();
            }
            let mut request = request.map(axum::body::Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            request.extensions_mut().insert(progress.clone());
            let answer = router.clone().oneshot(request);
            let requests = Arc::clone(&requests);
            async move {
                let mut answer = answer.await?;
                requests.answer(&mut answer);
                Ok::<_, Infallible>(answer)
            }
        });
        let mut connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_WAIT)
            .max_buf_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let served = async {
            let stopping = async {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = requests.evicted.cancelled() => {}
                }
            };
            let ended = tokio::select! {
                ended = &mut connection => Some(ended),
                () = stopping => None,
            };
            let ended = if let Some(ended) = ended {
                ended
            } else {
                Pin::new(&mut connection).graceful_shutdown();
                (&mut connection).await
            };
            let upgrade = refused.lock().take();
            match (connection.into_parts(), upgrade) {
                (Some(parts), _) => requests.close(parts.io.into_inner()).await,
                (None, Some(upgrade)) => {
                    if let Ok(upgraded) = upgrade.await {
                        requests.close(TokioIo::new(upgraded)).await;
                    }
                }
                (None, None) => {}
            }
            ended
        };
        let evicted = async {
            requests.evicted.cancelled().await;
            // A client whose body is awaited gets an answer; any other has had its last one.
            if requests.is_busy() {
                tokio::time::sleep(EVICTED_WAIT).await;
            }
        };
        tokio::select! {
            ended = served => ended,
            () = evicted => Ok(()),
        }
    }
}

fn set_options(stream: &TcpStream) -> io::Result<()> {
    // Frames are small and must not wait for each other.
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_TIME);
    let keepalive = keepalive.with_interval(KEEPALIVE_INTERVAL).with_retries(KEEPALIVE_RETRIES);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    {
        socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
        socket.set_tcp_notsent_lowat(UNSENT)?;
    }
    Ok(())
}

fn is_of_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_accepted_has_its_options() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = accept(&listener).await.unwrap();
        assert!(stream.nodelay().unwrap());
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEPALIVE_TIME);
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), KEEPALIVE_INTERVAL);
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), KEEPALIVE_RETRIES);
        #[cfg(target_os = "linux")]
        {
            assert_eq!(socket.tcp_user_timeout().unwrap(), Some(UNACKNOWLEDGED));
            assert_eq!(socket.tcp_notsent_lowat().unwrap(), UNSENT);
        }
    }
}
