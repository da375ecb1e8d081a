// What a person does with pictures and other files, and sees of them.

import type { Locator } from 'playwright-core';

import { eventually, type Phone } from './phone';

export const images = (of: Phone): Locator => of.screen.locator('.with-image img');

/** Chooses files behind this button of the panel. */
export async function choose(of: Phone, what: string, files: { name: string; mimeType: string; buffer: Buffer }[]): Promise<void> {
  if (!(await of.screen.locator('attach-panel').isVisible())) await of.screen.locator('composer .plus').click();
  const chooser = of.page.waitForEvent('filechooser');
  await of.screen.locator('attach-panel .choice', { hasText: what }).click();
  await (await chooser).setFiles(files);
}

export const png = (buffer: Buffer, name = 'a.png') => ({ name, mimeType: 'image/png', buffer });

/** Waits until so many pictures are drawn. */
export async function draws(of: Phone, count: number): Promise<void> {
  await eventually(`${count} pictures are drawn`, () =>
    images(of).evaluateAll(
      (all, wanted) => all.length === wanted && all.every((image) => (image as HTMLImageElement).naturalWidth > 0),
      count,
    ),
  );
}

/** Pastes a picture into the field, or drops it on the list. */
export function put(of: Phone, how: 'paste' | 'drop', buffer: Buffer): Promise<void> {
  return of.page.evaluate(
    ([event, base64]) => {
      const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
      const data = new DataTransfer();
      data.items.add(new File([bytes], 'put.png', { type: 'image/png' }));
      const on = document.querySelector(`.mp-screen:not([hidden]) ${event === 'paste' ? 'textarea' : '#list'}`);
      const init = { bubbles: true, cancelable: true };
      on?.dispatchEvent(
        event === 'paste'
          ? new ClipboardEvent('paste', { ...init, clipboardData: data })
          : new DragEvent('drop', { ...init, dataTransfer: data }),
      );
    },
    [how, buffer.toString('base64')] as const,
  );
}
