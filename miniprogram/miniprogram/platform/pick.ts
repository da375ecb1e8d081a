// Which service an app uses that was not told.

import { DEVELOPMENT_SERVER } from '../config';

/**
 * What the user chose, if that is allowed, or the service of releases. WeChat's review opens the app as a development
 * version, so that those use it too, if there is one.
 */
export function pick(chosen: unknown, isDevelopment: boolean, release: string): string {
  if (isDevelopment && typeof chosen === 'string' && chosen !== '') return chosen;
  return release === '' && isDevelopment ? DEVELOPMENT_SERVER : release;
}
