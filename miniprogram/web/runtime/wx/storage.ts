// wx's storage. Each tab is a separate phone: its storage survives reloads, and ends with the tab.

/** Frames of one tab share its storage; `?phone=NAME` gives each its own keys. */
const prefix = `${new URLSearchParams(location.search).get('phone') ?? 'tab'}:`;

export function getStorageSync(key: string): unknown {
  const text = sessionStorage.getItem(prefix + key);
  return text === null ? '' : JSON.parse(text);
}

export function setStorageSync(key: string, value: unknown): void {
  sessionStorage.setItem(prefix + key, JSON.stringify(value));
}

export function removeStorageSync(key: string): void {
  sessionStorage.removeItem(prefix + key);
}
