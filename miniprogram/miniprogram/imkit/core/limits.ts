// Every timeout and bound of the core.

// ---- The connection, in ms

/** From the call of `connect` to `ready`. */
export const CONNECT_MS = 15_000;
export const PING_EVERY_MS = 30_000;
/** The socket is dead if no frame comes for this long after a ping. */
export const PONG_MS = 10_000;
/** The socket is dead if a send is not answered, or a replay does not continue, for this long. */
export const ANSWER_MS = 20_000;
/** A connection of this age resets the backoff; a session of this age may be replaced without a wait. */
export const STABLE_MS = 60_000;
export const LOGIN_MS = 30_000;
export const REQUEST_MS = 10_000;
/** The service takes an upload that arrives within two minutes. */
export const UPLOAD_MS = 120_000;
/** Bounds of the backoff. */
export const FIRST_WAIT_MS = 1000;
export const MOST_WAIT_MS = 30_000;
/** Maximum wait that `retryAfterMs` or `reconnect` can ask for. */
export const MOST_ASKED_WAIT_MS = 60_000;

// ---- The rate

/** The platform allows `CALLS` in each window. */
export const CALLS = 5;
export const WINDOW_MS = 1000;
/** Maximum waiting requests. */
export const MOST_REQUESTS = 30;
/** Time between read marks: they come in bursts, and the last one covers the others. */
export const READ_EVERY_MS = 500;
/** The service forwards at most one `typing` in 2 s. */
export const TYPING_EVERY_MS = 2500;
/** How long somebody is shown as typing. */
export const TYPING_MS = 5000;
/** Pages hear of a change at once, and of the next ones at most this often. */
export const TELL_EVERY_MS = 50;
/** How often applied changes are stored. */
export const SAVE_EVERY_MS = 1000;

// ---- Sending

/** Maximum unsent chats. */
export const MOST_UNSENT = 100;
/** And their size, in UTF-16 units of JSON: at most three bytes each, under 1 MB a key. */
export const MOST_UNSENT_UNITS = 300_000;
/** UTF-8 bytes of a chat's content. The service's limit for a whole frame is 64 KiB. */
export const MOST_BYTES = 65_000;
/** Maximum people watched at once. */
export const MOST_WATCHED = 100;

// ---- Keeping

/** Unread chats are counted up to this. */
export const MOST_UNREAD = 100;
/** Maximum chats of an open conversation; older ones are not shown. */
export const MOST_CHATS = 20_000;
/** How many of them are dropped at once, so that it happens rarely. */
export const DROP = 500;
/** Closed conversations that are kept up to date, so that they open at once. */
export const MOST_CLOSED = 20;
/** Maximum rows of the list in storage. */
export const MOST_SAVED_ROWS = 100;
/** Maximum conversations with chats in storage; the least recently opened one is removed first. */
export const MOST_SAVED_LOGS = 30;
/** Maximum chats of one conversation in storage, and their size in UTF-16 units of JSON. */
export const MOST_SAVED_CHATS = 60;
export const MOST_SAVED_UNITS = 60_000;
