//! A TCP proxy that fails in the ways of a network.

use std::net::SocketAddr;

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// What the proxy does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Forward,
    Silent,
    Cut,
}

/// In front of one server, until it is dropped.
pub struct Proxy {
    addr: SocketAddr,
    mode: watch::Sender<Mode>,
}

impl Proxy {
    /// Forwards to this address.
    pub async fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (mode, now) = watch::channel(Mode::Forward);
        tokio::spawn(async move {
            let mut end = now.clone();
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    // Ready with an error once the proxy is dropped.
                    Err(_) = end.wait_for(|_| false) => return,
                };
                let (client, _) = accepted.unwrap();
                tokio::spawn(carry(client, to, now.clone()));
            }
        });
        Self { addr, mode }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Forwards nothing from now on, and closes nothing. What is connected now or until
    /// [`Proxy::heal`] stays dead for ever, as behind a router that has lost its table.
    pub fn silence(&self) {
        self.mode.send_replace(Mode::Silent);
    }

    /// Closes what is connected now, and whatever comes.
    pub fn cut(&self) {
        self.mode.send_replace(Mode::Cut);
    }

    /// Forwards new connections.
    pub fn heal(&self) {
        self.mode.send_replace(Mode::Forward);
    }
}

async fn carry(mut client: TcpStream, to: SocketAddr, mut mode: watch::Receiver<Mode>) {
    let begun_as = *mode.borrow_and_update();
    if begun_as == Mode::Cut {
        return;
    }
    if begun_as == Mode::Forward {
        let Ok(mut server) = TcpStream::connect(to).await else { return };
        tokio::select! {
            _ = copy_bidirectional(&mut client, &mut server) => return,
            _ = mode.wait_for(|mode| *mode != Mode::Forward) => {}
        }
        // Dead, and open at both ends.
        let _ = mode.wait_for(|mode| *mode == Mode::Cut).await;
    } else {
        let _ = mode.wait_for(|mode| *mode == Mode::Cut).await;
    }
}
