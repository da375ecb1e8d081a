// What has to be known of a file to draw it before it is sent: it is in the file's path.

/** Width and height of a picture, the length of a voice in ms, or a size in bytes. */
export type Facts = readonly [number, number];

/** Those of files whose path says nothing. */
const noted = new Map<string, Facts>();

/** The names of folders: when they were made, something random, and the facts. */
const FOLDER = /im-([0-9a-z]+)-[0-9a-z]+-(\d+)-(\d+)/;

/** A name for a folder of one file. */
export function folderName(facts: Facts): string {
  const random = Math.random().toString(36).slice(2, 10);
  const [first, second] = facts.map(Math.round);
  return `im-${Date.now().toString(36)}-${random}-${first}-${second}`;
}

/** When a folder was made, in ms since 1970; null if `folderName` has not named it. */
export function madeAt(path: string): number | null {
  const [, made] = FOLDER.exec(path) ?? [];
  return made === undefined ? null : parseInt(made, 36);
}

/** Notes what the path does not say; null forgets it. */
export function note(path: string, facts: Facts | null): void {
  if (facts) noted.set(path, facts);
  else noted.delete(path);
}

/** What is known of a file. */
export function factsOf(path: string): Facts {
  const known = noted.get(path);
  if (known) return known;
  const [, , first, second] = FOLDER.exec(path) ?? [];
  return [Number(first ?? 0), Number(second ?? 0)];
}

/** A file's name without its folder. */
export function nameOf(path: string): string {
  return path.split('/').pop() ?? '';
}
