//! A proxy before Postgres that counts statements, and cuts connections between a commit and its
//! answer.

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
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
    cuts_at_once: AtomicUsize,
    statements: AtomicUsize,
}

/// What is known of one connection.
#[derive(Default)]
struct Session {
    /// The names of its prepared statements that write chats.
    writers: HashSet<Vec<u8>>,
    is_in_transaction: bool,
    doomed: Option<Doom>,
}

/// What is to be the last that a connection does.
#[derive(Clone, Copy)]
enum Doom {
    /// The end of a transaction of several statements.
    Commit,
    /// A statement that is a transaction by itself. What it answers comes before it is committed;
    /// where it answers no row, it has written nothing.
    Statement { has_row: bool },
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

    /// The next commit of chats that somebody asks for is carried out; instead of its answer comes the
    /// end of the connection.
    pub fn arm(&self) {
        self.state.is_armed.store(true, Ordering::SeqCst);
    }

    /// How often that has happened.
    pub fn cuts(&self) -> usize {
        self.state.cuts.load(Ordering::SeqCst)
    }

    /// How often to a statement that was a transaction by itself.
    pub fn cuts_at_once(&self) -> usize {
        self.state.cuts_at_once.load(Ordering::SeqCst)
    }

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
    let session = Mutex::default();
    // Either end ends both.
    tokio::select! {
        _ = questions(from_client, to_server, &state, &session) => {}
        _ = answers(from_server, to_client, &state, &session) => {}
    }
}

async fn questions(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    state: &State,
    session: &Mutex<Session>,
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
        // Known before its answer can come.
        session.lock().unwrap().ask(&message, &state.is_armed);
        to.write_all(&message).await?;
    }
}

async fn answers(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    state: &State,
    session: &Mutex<Session>,
) -> std::io::Result<()> {
    loop {
        let message = read_message(&mut from).await?;
        let end = session.lock().unwrap().answer(&message, &state.is_armed);
        if let Some(doom) = end {
            if matches!(doom, Doom::Statement { .. }) {
                state.cuts_at_once.fetch_add(1, Ordering::SeqCst);
            }
            state.cuts.fetch_add(1, Ordering::SeqCst);
            return Ok(());
        }
        to.write_all(&message).await?;
    }
}

impl Session {
    fn ask(&mut self, message: &[u8], is_armed: &AtomicBool) {
        let disarm = || is_armed.swap(false, Ordering::SeqCst);
        let mut strings = message[5..].split(|byte| *byte == 0);
        match message[0] {
            // Parse: the name, the text.
            b'P' => {
                let (name, text) = (strings.next().unwrap(), strings.next().unwrap());
                if str::from_utf8(text).unwrap().contains("INSERT INTO chats") {
                    self.writers.insert(name.to_vec());
                }
            }
            // Bind: the portal, the name.
            b'B' => {
                let name = strings.nth(1).unwrap();
                if !self.is_in_transaction && self.writers.contains(name) && disarm() {
                    self.doomed = Some(Doom::Statement { has_row: false });
                }
            }
            b'Q' if strings.next() == Some(b"COMMIT") && disarm() => {
                self.doomed = Some(Doom::Commit);
            }
            _ => {}
        }
    }

    /// Whether this is where the connection ends: what was asked for is committed, and here is the
    /// word of it.
    fn answer(&mut self, message: &[u8], is_armed: &AtomicBool) -> Option<Doom> {
        match message[0] {
            b'D' => {
                if let Some(Doom::Statement { has_row }) = &mut self.doomed {
                    *has_row = true;
                }
                None
            }
            // An error: nothing was committed.
            b'E' => {
                self.rearm(is_armed);
                None
            }
            b'C' if &message[5..] == b"COMMIT\0" => self.doomed,
            // Ready for the next: whatever was to be committed has been.
            b'Z' => {
                self.is_in_transaction = message[5] != b'I';
                let end =
                    self.doomed.filter(|doom| matches!(doom, Doom::Statement { has_row: true }));
                if end.is_none() {
                    self.rearm(is_armed);
                }
                end
            }
            _ => None,
        }
    }

    fn rearm(&mut self, is_armed: &AtomicBool) {
        if self.doomed.take().is_some() {
            is_armed.store(true, Ordering::SeqCst);
        }
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
