//! A TCP proxy that fails in the ways of a network.

use std::net::SocketAddr;

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// What the proxy does with a new connection.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Forward,
    Silent,
    Cut,
}

/// Where it leads, and how often what was connected has been hurt, so that no connection misses it.
#[derive(Clone, Copy)]
struct State {
    to: SocketAddr,
    mode: Mode,
    silences: usize,
    cuts: usize,
}

/// In front of one server, until it is dropped.
pub struct Proxy {
    addr: SocketAddr,
    state: watch::Sender<State>,
}

impl Proxy {
    /// Forwards to this address.
    pub async fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (state, now) =
            watch::channel(State { to, mode: Mode::default(), silences: 0, cuts: 0 });
        tokio::spawn(async move {
            let mut end = now.clone();
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    // Ready with an error once the proxy is dropped.
                    Err(_) = end.wait_for(|_| false) => return,
                };
                let (client, _) = accepted.unwrap();
                tokio::spawn(carry(client, now.clone()));
            }
        });
        Self { addr, state }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Forwards new connections to another server, as a name or a virtual address does that moves. What
    /// is connected stays where it is.
    pub fn lead_to(&self, to: SocketAddr) {
        self.state.send_modify(|state| state.to = to);
    }

    /// Forwards nothing from now on, and closes nothing. What is connected now or until
    /// [`Proxy::heal`] stays dead for ever, as behind a router that has lost its table.
    pub fn silence(&self) {
        self.state.send_modify(|state| {
            state.mode = Mode::Silent;
            state.silences += 1;
        });
    }

    /// Closes what is connected now, and whatever comes.
    pub fn cut(&self) {
        self.state.send_modify(|state| {
            state.mode = Mode::Cut;
            state.cuts += 1;
        });
    }

    /// Forwards new connections.
    pub fn heal(&self) {
        self.state.send_modify(|state| state.mode = Mode::Forward);
    }
}

async fn carry(mut client: TcpStream, mut now: watch::Receiver<State>) {
    let born = *now.borrow_and_update();
    if born.mode == Mode::Cut {
        return;
    }
    if born.mode == Mode::Forward {
        let Ok(mut server) = TcpStream::connect(born.to).await else { return };
        tokio::select! {
            _ = copy_bidirectional(&mut client, &mut server) => return,
            _ = now.wait_for(|now| now.silences > born.silences || now.cuts > born.cuts) => {}
        }
        // Dead, and open at both ends.
        let _ = now.wait_for(|now| now.cuts > born.cuts).await;
    } else {
        let _ = now.wait_for(|now| now.cuts > born.cuts).await;
    }
}
