// Where the service is.

/** For DevTools and trial versions without `RELEASE_SERVER`, until the user enters another address. */
export const DEVELOPMENT_SERVER = 'http://127.0.0.1:8080';

/**
 * The service of every upload: https, without a path, such as `https://chat.example.com`. Set it before the first
 * one, also for WeChat's review, which opens the app as a development version. List it in the console of the mini
 * program under the domains of requests; with wss instead of https, under those of sockets.
 */
export const RELEASE_SERVER = '';
