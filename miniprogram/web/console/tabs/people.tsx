// People: found by name or id, and what can be done to one.

import { useEffect, useState } from 'preact/hooks';

import { type Person } from '../api';
import { timeOf, useConsole } from '../context';
import { Head, Reload, Scoped, Table, Time, usePages } from '../parts';
import { One } from './person';

type By = 'name' | 'external' | 'id';

export function People({ at }: { at: number | undefined }) {
  return (
    <Scoped scope="users">
      <Found at={at} />
    </Scoped>
  );
}

function Found({ at }: { at: number | undefined }) {
  const [one, setOne] = useState(at);
  useEffect(() => {
    setOne(at);
  }, [at]);
  return one === undefined ? <List choose={setOne} /> : <One key={one} id={one} back={() => { setOne(undefined); }} />;
}

function List({ choose }: { choose: (id: number) => void }) {
  const { words, api } = useConsole();
  const said = words.people;
  const [by, setBy] = useState<By>('name');
  const [typed, setTyped] = useState('');
  const [query, setQuery] = useState<{ name?: string; user?: string }>({});
  const pages = usePages<Person>((last) => api.page('/users', 'users', { ...query, after: last?.id }), [api, query]);
  const search = (event: Event) => {
    event.preventDefault();
    const value = typed.trim();
    if (value === '') setQuery({});
    else if (by === 'name') setQuery({ name: value });
    else setQuery({ user: by === 'id' ? `id:${value}` : value });
  };
  return (
    <>
      <Head title={words.tabs.people}><Reload pages={pages} /></Head>
      <form class="search" role="search" onSubmit={search}>
        <select aria-label={said.by} value={by} onChange={(event) => { setBy(event.currentTarget.value as By); }}>
          <option value="name">{said.byName}</option>
          <option value="external">{said.byExternal}</option>
          <option value="id">{said.byId}</option>
        </select>
        <input
          type="search"
          aria-label={said.value}
          value={typed}
          inputMode={by === 'id' ? 'numeric' : 'text'}
          onInput={(event) => { setTyped(event.currentTarget.value); }}
        />
        <button type="submit" class="main">{said.search}</button>
      </form>
      <Table
        pages={pages}
        id={(person) => person.id}
        empty={said.empty}
        columns={[
          {
            label: said.name,
            cell: (person) => <button type="button" class="link" onClick={() => { choose(person.id); }}>{person.name}</button>,
          },
          { label: said.id, cell: (person) => person.id },
          { label: said.external, cell: (person) => person.externalId ?? '—' },
          { label: said.since, cell: (person) => <Time at={person.createTime} /> },
          { label: said.restriction, cell: (person) => <Restriction of={person} /> },
        ]}
      />
    </>
  );
}

export function Restriction({ of: { restriction } }: { of: Person }) {
  const { words } = useConsole();
  const said = words.people;
  if (restriction === null) return <>{said.free}</>;
  const { kind, until, reason } = restriction;
  return (
    <>
      <span class="badge">{said.kinds[kind]}</span> {until === null ? words.forever : said.until(timeOf(words, until))}
      {reason !== null && <small class="below">{reason}</small>}
    </>
  );
}
