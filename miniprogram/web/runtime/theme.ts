// Light or dark mode, and the colours of the configuration's variables.

export type Theme = 'light' | 'dark';

const dark = window.matchMedia('(prefers-color-scheme: dark)');

export function theme(): Theme {
  return dark.matches ? 'dark' : 'light';
}

export function onThemeChange(listener: () => void): void {
  dark.addEventListener('change', listener);
}

/** Replaces variables such as `@bar` by their values. */
export function themed<T extends object>(config: T, values: Record<string, string> = {}): T {
  const entries = Object.entries(config).map(([key, value]) => {
    const isVariable = typeof value === 'string' && value.startsWith('@');
    return [key, isVariable ? (values[value.slice(1)] ?? '') : value] as const;
  });
  return Object.fromEntries(entries) as T;
}
