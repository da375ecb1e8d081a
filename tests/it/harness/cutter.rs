//! A proxy before Postgres that counts statements, and cuts connections between a commit and its
//! answer.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

/// In front of one server until the test ends. It understands the protocol of Postgres as far as
/// messages have lengths, and no TLS.
pub struct Cutter {
    addr: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    is_armed: AtomicBool,
    cuts: AtomicUsize,
    statements: AtomicUsize,
}

impl Cutter {
    /// Forwards to this address.
    pub async fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let cutter = Self { addr, state: Arc::clone(&state) };
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(carry(client, to, Arc::clone(&state)));
            }
        });
        cutter
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The next commit that somebody asks for is carried out; instead of its answer comes the end of
    /// the connection.
    pub fn arm(&self) {
        self.state.is_armed.store(true, Ordering::SeqCst);
    }

    /// How often that has happened.
    pub fn cuts(&self) -> usize {
        self.state.cuts.load(Ordering::SeqCst)
    }
}

impl Cutter {
    /// How many statements were asked for.
    pub fn statements(&self) -> usize {
        self.state.statements.load(Ordering::SeqCst)
    }
}

async fn carry(client: TcpStream, to: SocketAddr, state: Arc<State>) {
    let Ok(server) = TcpStream::connect(to).await else { return };
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
    }
    let ((from_client, to_client), (from_server, to_server)) =
        (client.into_split(), server.into_split());
    let is_doomed = AtomicBool::new(false);
    // Either end ends both.
    tokio::select! {
        _ = questions(from_client, to_server, &state, &is_doomed) => {}
        _ = answers(from_server, to_client, &state, &is_doomed) => {}
    }
}

async fn questions(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    state: &State,
    is_doomed: &AtomicBool,
) -> std::io::Result<()> {
    // The first message has no type.
    let mut greeting = vec![0; 4];
    from.read_exact(&mut greeting).await?;
    read_rest(&mut from, &mut greeting, 0).await?;
    to.write_all(&greeting).await?;
    loop {
        let message = read_message(&mut from).await?;
        // Bind, and what is asked in one message.
        if matches!(message[0], b'B' | b'Q') {
            state.statements.fetch_add(1, Ordering::SeqCst);
        }
        if message[0] == b'Q'
            && &message[5..] == b"COMMIT\0"
            && state.is_armed.swap(false, Ordering::SeqCst)
        {
            // Known before its answer can come.
            is_doomed.store(true, Ordering::SeqCst);
        }
        to.write_all(&message).await?;
    }
}

async fn answers(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    state: &State,
    is_doomed: &AtomicBool,
) -> std::io::Result<()> {
    loop {
        let message = read_message(&mut from).await?;
        if is_doomed.load(Ordering::SeqCst) && message[0] == b'C' && &message[5..] == b"COMMIT\0" {
            state.cuts.fetch_add(1, Ordering::SeqCst);
            return Ok(());
        }
        to.write_all(&message).await?;
    }
}

/// A message: its type, its length without the type, its content.
async fn read_message(from: &mut OwnedReadHalf) -> std::io::Result<Vec<u8>> {
    let mut message = vec![0; 5];
    from.read_exact(&mut message).await?;
    read_rest(from, &mut message, 1).await?;
    Ok(message)
}

/// Reads what is missing of a message whose length, which counts itself, is at this place.
async fn read_rest(
    from: &mut OwnedReadHalf,
    message: &mut Vec<u8>,
    place: usize,
) -> std::io::Result<()> {
    let length = u32::from_be_bytes(message[place..place + 4].try_into().unwrap());
    let known = message.len();
    message.resize(place + length as usize, 0);
    from.read_exact(&mut message[known..]).await?;
    Ok(())
}
