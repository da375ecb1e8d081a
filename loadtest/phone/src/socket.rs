//! A phone's life on one socket.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use futures_util::{FutureExt, SinkExt, StreamExt};
use rand::Rng;
use tokio::{
    net::TcpStream,
    time::{Instant, sleep_until, timeout},
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{self, Message, protocol::WebSocketConfig},
};

use crate::{
    address,
    clock::Moment,
    ledger::{Key, Timeline, Words},
    life::{Ended, Phone},
    observer::Ready,
    reading,
    wire::{Content, Event, Heard, Letter},
    world::World,
};

/// How many frames are taken before what is due is sent.
const FRAMES_AT_ONCE: usize = 64;

pub(crate) type Socket = WebSocketStream<TcpStream>;

/// What a frame asks for that takes time.
enum Step {
    Say(String),
    /// Load over HTTP what is up to this number.
    Reload(i64),
    End(Ended),
}

/// What is known of a socket.
struct State {
    is_ready: bool,
    begun: Moment,
    heard: Instant,
    ping_at: Instant,
    /// Since when an answer is due: to a ping, or to a send.
    asked: Option<Instant>,
    number: u32,
}

impl Phone {
    /// Opens a socket.
    pub(crate) async fn connect(&mut self) -> Result<Socket, Ended> {
        let World { wire, targets, timing, .. } = &*self.world;
        let (target, person) = (&targets[self.at], self.person());
        let request = wire.handshake(&target.url, person);
        let mut config = WebSocketConfig::default();
        config.read_buffer_size = 4_096;
        config.write_buffer_size = 16 * 1_024;
        let connecting = async {
            let tcp = TcpStream::connect(target.addr).await.ok()?;
            tcp.set_nodelay(true).ok()?;
            Some(client_async_with_config(request, tcp, Some(config)).await)
        };
        let mut socket = match timeout(timing.patience, connecting).await {
            Ok(Some(Ok((socket, _)))) => socket,
            Ok(Some(Err(tungstenite::Error::Http(answer)))) => {
                let status = answer.status();
                if !status.is_server_error() && status != 429 {
                    self.broken(|| format!("the handshake was refused with {status}"));
                }
                return Err(Ended::Lost);
            }
            _ => return Err(Ended::Lost),
        };
        if let Some(greeting) = wire.greeting(person, self.number, &self.cursor) {
            self.say(&mut socket, greeting).await?;
        }
        self.sockets += 1;
        Ok(socket)
    }

    /// Lives on one socket until it ends.
    pub(crate) async fn live(&mut self, socket: &mut Socket, begun: Moment) -> Ended {
        let now = Instant::now();
        let timing = self.world.timing;
        let mut state = State {
            is_ready: false,
            begun,
            heard: now,
            ping_at: now + timing.ping_every.mul_f64(self.random.random_range(0.5..1.0)),
            asked: Some(now),
            number: self.sockets,
        };
        let orders = Arc::clone(&self.orders);
        let timer = sleep_until(self.next_look(&state));
        tokio::pin!(timer);
        loop {
            let mut frame = tokio::select! {
                biased;
                frame = socket.next() => Some(frame),
                () = orders.news.notified() => None,
                () = &mut timer => None,
            };
            if self.take_orders() {
                if self.is_over {
                    let _ = timeout(timing.patience, socket.close(None)).await;
                }
                return Ended::Dropped;
            }
            let mut taken = 0;
            while let Some(message) = frame {
                match self.take(socket, &mut state, message).await {
                    Ok(()) => {}
                    Err(ended) => return ended,
                }
                taken += 1;
                frame = if taken < FRAMES_AT_ONCE { socket.next().now_or_never() } else { None };
            }
            if let Err(ended) = self.send_due(socket, &mut state).await {
                return ended;
            }
            let now = Instant::now();
            let is_silent = state.asked.is_some_and(|asked| {
                now.saturating_duration_since(asked.max(state.heard)) > timing.silence
            });
            if is_silent {
                return Ended::Lost;
            }
            if timer.deadline() <= now {
                timer.as_mut().reset(self.next_look(&state));
            }
        }
    }

    async fn take(
        &mut self,
        socket: &mut Socket,
        state: &mut State,
        message: Option<Result<Message, tungstenite::Error>>,
    ) -> Result<(), Ended> {
        let Some(Ok(message)) = message else { return Err(Ended::Lost) };
        state.heard = Instant::now();
        match message {
            Message::Text(text) => {
                self.hear(socket, state, text.as_str()).await?;
                // Looked at after the frame: it may be the last answer that was due.
                state.asked = (self.outbox.len() > 0).then_some(state.heard);
                Ok(())
            }
            Message::Close(close) => {
                let code = close.map_or(1005, |close| u16::from(close.code));
                if !self.world.wire.is_to_come_back_after(code) {
                    self.broken(|| format!("was closed with {code}"));
                }
                Err(Ended::Lost)
            }
            _ => Ok(()),
        }
    }

    /// Applies a frame.
    async fn hear(
        &mut self,
        socket: &mut Socket,
        state: &mut State,
        text: &str,
    ) -> Result<(), Ended> {
        let wire = Arc::clone(&self.world.wire);
        let now = self.world.clock.now();
        let mut steps = Vec::new();
        let read = wire.hear(text, &mut |heard| steps.extend(self.apply(state, heard, now)));
        if let Err(unreadable) = read {
            self.broken(|| unreadable.to_string());
            return Err(Ended::Lost);
        }
        for step in steps {
            match step {
                Step::Say(frame) => self.say(socket, frame).await?,
                Step::Reload(last) => self.reload(last).await?,
                Step::End(ended) => return Err(ended),
            }
        }
        Ok(())
    }

    /// Applies a part of a frame. Returns what takes time.
    fn apply(&mut self, state: &mut State, heard: Heard<'_>, now: Moment) -> Option<Step> {
        match heard {
            Heard::Say(frame) => return Some(Step::Say(frame)),
            Heard::Ready { epoch, last_seq } => {
                self.cursor.epoch = epoch;
                self.ready(state, last_seq, now);
            }
            Heard::Sent { seq, chat } => {
                let (seen, due) = self.seen(&chat);
                self.acknowledged(seq, &seen, now);
                // Up to the cursor it is the answer to a repeat, which moves nothing.
                match seq {
                    Some(seq) if seq <= self.cursor.seq.unwrap_or(0) => {}
                    Some(_) => {
                        self.shown(seq, &seen, due, now);
                    }
                    None => self.moved(None),
                }
            }
            Heard::Event { seq, event: Event::Chat(chat) } => {
                let (seen, due) = self.seen(&chat);
                if seen.key.run == self.world.run && seen.key.writer == self.number {
                    self.acknowledged(seq, &seen, now);
                }
                let is_new = self.shown(seq, &seen, due, now);
                if let Content::Picture(picture) = &chat.content
                    && is_new
                    && seen.words == Words::Intact
                    && seen.sender != self.person().id
                {
                    self.look_at(picture, seen.key, due);
                }
            }
            Heard::Event { seq, event } => {
                let (seen, due) = self.world.event(&event);
                self.shown(seq, &seen, due, now);
            }
            Heard::Refused { key, code, after } => {
                return self.refused(state, key.as_deref(), &code, after);
            }
            Heard::Reset { epoch, last_seq } => {
                self.cursor.epoch = epoch;
                return Some(Step::Reload(last_seq));
            }
            Heard::Reconnect { after } => return Some(Step::End(Ended::Away(after))),
            Heard::Nothing => {}
        }
        None
    }

    fn refused(
        &mut self,
        state: &State,
        key: Option<&str>,
        code: &str,
        after: Option<Duration>,
    ) -> Option<Step> {
        let key = key.and_then(|key| key.parse::<Key>().ok());
        let letter = key.and_then(|key| self.outbox.find(key));
        // Whoever has just left may not know it yet.
        if let Some(letter) = letter
            && address::group_of(letter.target).is_some()
            && code == "conversation_not_found"
        {
            let key = letter.key;
            self.not_taken(key);
            return None;
        }
        self.observer.refused(code);
        let Some(after) = after else {
            self.broken(|| format!("the server refused for good: {code}"));
            return Some(Step::End(Ended::Lost));
        };
        if let Some(key) = key {
            self.observer.rewound(self.outbox.refuse(key, state.heard + after));
        }
        None
    }

    fn ready(&mut self, state: &mut State, last_seq: Option<i64>, now: Moment) {
        let mark = &self.world.marks[self.number as usize];
        mark.target.store(self.at, Relaxed);
        mark.is_ready.store(true, Relaxed);
        if std::mem::replace(&mut state.is_ready, true) {
            return;
        }
        if self.cursor.seq.is_none() && self.world.wire.has_numbers() {
            let cursor = last_seq.unwrap_or(0);
            self.cursor.seq = Some(cursor);
            self.book.begin(cursor);
            mark.cursor.store(cursor, Relaxed);
            mark.first_cursor.store(cursor, Relaxed);
        }
        self.observer.ready(match self.lost_at.take() {
            Some(lost) => Ready::Resumed(now.since(lost.max(self.back_since))),
            None => Ready::Connected(now.since(state.begun)),
        });
    }

    /// Sends what may be sent, in one write.
    async fn send_due(&mut self, socket: &mut Socket, state: &mut State) -> Result<(), Ended> {
        let now = Instant::now();
        if !state.is_ready {
            return Ok(());
        }
        let mut is_written = false;
        if now >= state.ping_at {
            state.ping_at = now + self.world.timing.ping_every;
            if let Some(ping) = self.world.wire.ping() {
                self.feed(socket, ping).await?;
                is_written = true;
            }
        }
        let world = Arc::clone(&self.world);
        while let Some(letter) = self.outbox.next(world.window, now) {
            let (key, due, is_repeat) = (letter.key, letter.due, letter.is_repeat);
            let frame = world.wire.send(&Letter {
                key: &key.to_string(),
                sender: world.people[self.number as usize].id,
                target: letter.target,
                content: &letter.content,
                picture: letter.picture,
            });
            self.book.send(key, state.number);
            let sent = self.passage(key, due, world.clock.now(), true);
            self.observer.sent(&sent, is_repeat);
            self.feed(socket, frame).await?;
            is_written = true;
        }
        if is_written {
            state.asked.get_or_insert(now);
            self.flush(socket).await?;
        }
        Ok(())
    }

    /// Loads everything anew over HTTP, up to `last`.
    async fn reload(&mut self, last: i64) -> Result<(), Ended> {
        let first = self.mark().first_cursor.load(Relaxed);
        let read = reading::timeline(&self.world, self.at, self.person(), first).await;
        let Ok(Timeline { events, .. }) = read else { return Err(Ended::Lost) };
        let events: Vec<_> =
            events.into_iter().filter_map(|(seq, seen)| Some((seq?, seen))).collect();
        self.book.reload(&events, last);
        self.mark().resets.fetch_add(1, Relaxed);
        self.moved(Some(last));
        Ok(())
    }

    /// When to look at the clock again.
    fn next_look(&self, state: &State) -> Instant {
        let soon = self.outbox.quiet_until().unwrap_or(state.ping_at).min(state.ping_at);
        let now = Instant::now();
        soon.clamp(now + Duration::from_millis(10), now + self.world.timing.silence / 2)
    }

    async fn say(&self, socket: &mut Socket, frame: String) -> Result<(), Ended> {
        self.feed(socket, frame).await?;
        self.flush(socket).await
    }

    async fn feed(&self, socket: &mut Socket, frame: String) -> Result<(), Ended> {
        match timeout(self.world.timing.patience, socket.feed(Message::text(frame))).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Ended::Lost),
        }
    }

    async fn flush(&self, socket: &mut Socket) -> Result<(), Ended> {
        match timeout(self.world.timing.patience, socket.flush()).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Ended::Lost),
        }
    }
}
