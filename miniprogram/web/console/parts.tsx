// Parts of which the tabs are made: lists in pages, tables that become cards, buttons that do something.

import type { ComponentChildren } from 'preact';
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';

import type { Page, Scope } from './api';
import { inWords, timeOf, useConsole } from './context';

export function Problem({ error }: { error: unknown }) {
  const { words } = useConsole();
  const { text, detail } = inWords(words, error);
  return (
    <div class="problem" role="alert">
      {text}
      {detail !== '' && <small lang="en">{detail}</small>}
    </div>
  );
}

export function Time({ at }: { at: string }) {
  const { words } = useConsole();
  return <time dateTime={at}>{timeOf(words, at)}</time>;
}

/** The heading of a tab, and what can be done to all of it. */
export function Head({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="head">
      <h1>{title}</h1>
      <div class="buttons">{children}</div>
    </div>
  );
}

/** What is shown to whom the scope allows it. */
export function Scoped({ scope, children }: { scope: Scope; children: ComponentChildren }) {
  const { can, words } = useConsole();
  return can(scope) ? <>{children}</> : <p class="empty">{words.lacks(scope)}</p>;
}

/** A list that is read in pages; the next page comes after the last item of this one. */
export interface Pages<T> {
  items: T[] | undefined;
  hasMore: boolean;
  isBusy: boolean;
  error: unknown;
  reload: () => void;
  more: () => void;
}

/** Reads a list, and again whenever `dependencies` change. */
export function usePages<T>(
  load: (last: T | undefined) => Promise<Page<T>>,
  dependencies: readonly unknown[],
): Pages<T> {
  const [page, setPage] = useState<Page<T>>();
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  // What comes of an earlier question is dropped.
  const asked = useRef(0);
  const read = (known: T[]) => {
    asked.current += 1;
    const question = asked.current;
    setBusy(true);
    setError(undefined);
    load(known.at(-1))
      .then(
        ({ items, hasMore }) => {
          if (asked.current === question) setPage({ items: [...known, ...items], hasMore });
        },
        (problem: unknown) => {
          if (asked.current === question) setError(problem);
        },
      )
      .finally(() => {
        if (asked.current === question) setBusy(false);
      });
  };
  useEffect(() => {
    setPage(undefined);
    read([]);
    return () => {
      asked.current += 1;
    };
  }, dependencies);
  return {
    items: page?.items,
    hasMore: page?.hasMore ?? false,
    isBusy,
    error,
    reload: () => { read([]); },
    more: () => { read(page?.items ?? []); },
  };
}

export interface Column<T> {
  label: string;
  cell: (item: T) => ComponentChildren;
  /** Numbers and buttons stand at the end of their column. */
  atEnd?: boolean;
}

interface TableProps<T> {
  pages: Pages<T>;
  columns: Column<T>[];
  id: (item: T) => string | number;
  empty: string;
  more?: string;
}

export function Table<T>({ pages, columns, id, empty, more }: TableProps<T>) {
  const { words } = useConsole();
  const { items, error, isBusy } = pages;
  return (
    <>
      {error !== undefined && <Problem error={error} />}
      {items === undefined && isBusy && <p class="empty" role="status">{words.loading}</p>}
      {items?.length === 0 && <p class="empty">{empty}</p>}
      {items !== undefined && items.length > 0 && (
        <table role="table">
          <thead role="rowgroup">
            <tr role="row">
              {columns.map(({ label, atEnd }) => (
                <th key={label} role="columnheader" scope="col" class={atEnd ? 'end' : undefined}>{label}</th>
              ))}
            </tr>
          </thead>
          <tbody role="rowgroup">
            {items.map((item) => (
              <tr key={id(item)} role="row" data-id={id(item)}>
                {columns.map(({ label, cell, atEnd }) => (
                  <td key={label} role="cell" data-label={label} class={atEnd ? 'end' : undefined}>
                    <div>{cell(item)}</div>
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {pages.hasMore && (
        <button type="button" class="more" disabled={isBusy} onClick={pages.more}>{more ?? words.more}</button>
      )}
    </>
  );
}

export function Reload({ pages }: { pages: Pages<unknown> }) {
  const { words } = useConsole();
  return <button type="button" disabled={pages.isBusy} onClick={pages.reload}>{words.reload}</button>;
}

/** Does things one at a time, and keeps what went wrong with the last one. */
export function useActs(): {
  isBusy: boolean;
  error: unknown;
  run: (act: () => Promise<void>) => void;
} {
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const run = useCallback((act: () => Promise<void>) => {
    setBusy(true);
    setError(undefined);
    act()
      .catch((problem: unknown) => {
        setError(problem);
      })
      .finally(() => {
        setBusy(false);
      });
  }, []);
  return { isBusy, error, run };
}

/** A user as a link to what is known of them. */
export function User({ id, name }: { id: number; name: string | null | undefined }) {
  const { can, open } = useConsole();
  const shown = (
    <>
      {name ?? '—'} <small>#{id}</small>
    </>
  );
  if (!can('users')) return <span>{shown}</span>;
  return (
    <button type="button" class="link" onClick={() => { open('people', id); }}>{shown}</button>
  );
}

/** What a chat says, whatever its kind. */
export function Said({ kind, content, body }: { kind: string; content: string; body?: Record<string, unknown> }) {
  const { words } = useConsole();
  const url = addressIn(body);
  return (
    <span class="said">
      {kind !== 'text' && <small class="kind">{kind}</small>}
      {content}
      {url !== undefined && (
        <a href={url} target="_blank" rel="noopener noreferrer">{words.conversations.openMedia}</a>
      )}
    </span>
  );
}

/** Where the picture, the voice or the file of a chat is. */
function addressIn(body: Record<string, unknown> | undefined): string | undefined {
  const url = body?.url;
  return typeof url === 'string' && /^(https?:\/)?\//.test(url) ? url : undefined;
}
