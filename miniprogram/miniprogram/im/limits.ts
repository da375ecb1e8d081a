// Every time and bound of the core, in one place.

// ---- The connection, in ms

/** From the call of `connect` to `ready`. */
export const CONNECT_MS = 15_000;
export const PING_EVERY_MS = 30_000;
/** No frame for so long after a ping: the socket is dead. */
export const PONG_MS = 10_000;
/** A send that is not answered, or a replay that does not go on, for so long: the socket is dead. */
export const ANSWER_MS = 20_000;
/** A connection that stood for so long ends the backoff; a session, the doubt about the next one. */
export const STABLE_MS = 60_000;
export const LOGIN_MS = 30_000;
export const REQUEST_MS = 10_000;
/** Bounds of the backoff. */
export const FIRST_WAIT_MS = 1000;
export const MOST_WAIT_MS = 30_000;
/** The longest wait that `retryAfterMs` or `reconnect` can ask for. */
export const MOST_ASKED_WAIT_MS = 60_000;

// ---- The pace

/** The platform allows so many calls in such a window. */
export const CALLS = 5;
export const WINDOW_MS = 1000;
/** The most requests that wait. */
export const MOST_REQUESTS = 30;
/** From one read mark to the next: they come in bursts, and the last one says it all. */
export const READ_EVERY_MS = 500;
/** The service forwards at most one `typing` in 2 s. */
export const TYPING_EVERY_MS = 2500;
/** How long somebody is shown as typing. */
export const TYPING_MS = 5000;
/** Pages are told at once, then at most so often. */
export const TELL_EVERY_MS = 50;
/** What is applied is written down so often. */
export const SAVE_EVERY_MS = 1000;

// ---- What is sent

/** The most chats that wait. */
export const MOST_UNSENT = 100;
/** And the most that they take, in UTF-16 units of JSON: at most three bytes each, under 1 MB a key. */
export const MOST_UNSENT_UNITS = 300_000;
/** UTF-8 of a chat. The service's limit for a frame is 64 KiB; some of it is not content. */
export const MOST_BYTES = 65_000;
/** The most people that can be watched at once. */
export const MOST_WATCHED = 100;

// ---- What is kept

/** Past this the exact number of unread chats is not told. */
export const MOST_UNREAD = 100;
/** The most chats that are kept of a conversation that is open; what is older is not shown. */
export const MOST_CHATS = 5000;
/** How many of them are dropped at once, so that this is rare. */
export const DROP = 500;
/** Conversations that are not open and yet kept up to date, so that they open at once. */
export const MOST_CLOSED = 20;
/** The most rows of the list in storage. */
export const MOST_SAVED_ROWS = 100;
/** The most conversations whose chats are in storage; the one that was opened longest ago goes first. */
export const MOST_SAVED_LOGS = 30;
/** The most chats of one that are in storage, and the most UTF-16 units of JSON that they take. */
export const MOST_SAVED_CHATS = 60;
export const MOST_SAVED_UNITS = 60_000;
