// Whether the user has last used a keyboard, or a pointer.

let byKey = false;

document.addEventListener(
  'keydown',
  () => {
    byKey = true;
  },
  true,
);
document.addEventListener(
  'pointerdown',
  () => {
    byKey = false;
  },
  true,
);

export function isByKey(): boolean {
  return byKey;
}
