// Where this phone reaches what the service has of pictures, voice and files.

import { serviceOf } from '../current';

/** At the beginning of a URL of media: this machine, or nothing. */
const UNTOLD = /^(http:\/\/(127\.0\.0\.1|localhost|\[::1\])(:\d+)?)?(?=\/v1\/media\/)/;

/**
 * A service that was not told where it is reached (`server.public_url`) says in its URLs that it is on this machine, or
 * says nothing. A phone on the same network, or a browser that calls the machine by another name, reaches it as it
 * reaches all else of the service.
 */
export function reachable(url: string): string {
  return url.replace(UNTOLD, (given) => serviceOf() || given);
}
