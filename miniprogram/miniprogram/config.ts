// Where the service is.

/** For DevTools and trial versions, until the user enters another address. */
export const DEVELOPMENT_SERVER = 'http://127.0.0.1:8080';

/**
 * For released versions: https, without a path. Set it before an upload, and list it in the console of the
 * mini program under the domains of requests; with wss instead of https, under those of sockets.
 */
export const RELEASE_SERVER = 'https://chat.example.com';
