// What the environment says, the same for every server here.

/**
 * @typedef {object} Settings
 * @property {number} port on loopback; 0: a free one
 * @property {string} databaseUrl
 * @property {string} redisUrl
 */

/** @returns {Settings} */
export function settings() {
  return {
    port: Number(process.env.PORT ?? 0),
    databaseUrl: required('DATABASE_URL'),
    redisUrl: required('REDIS_URL'),
  };
}

/** What every channel begins with: the user of the stack's Redis may use no others. */
export const CHANNELS = 'imserver:peers:';

/** @param {string} name */
function required(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
}
