// The keys of the server API.

import { useState } from 'preact/hooks';

import { SCOPES, type Key } from '../api';
import { timeOf, useConsole } from '../context';
import { Head, Problem, Reload, Scoped, Table, Time, useActs, usePages } from '../parts';

export function Keys() {
  return (
    <Scoped scope="all">
      <List />
    </Scoped>
  );
}

function List() {
  const { words, api, key: own, ask, tell, signOut } = useConsole();
  const said = words.keys;
  const pages = usePages<Key>(() => api.page('/keys', 'keys', {}), [api]);
  const { isBusy, error, run } = useActs();
  const [secret, setSecret] = useState<string>();
  const create = async () => {
    const values = await ask({
      title: said.create,
      text: said.createText,
      yes: said.create,
      fields: [
        { name: 'name', label: said.name, required: true, max: 64 },
        { name: 'scopes', label: said.scopes, kind: 'boxes', options: SCOPES.map((scope) => [scope, scope] as const) },
      ],
      check: ({ scopes }) => (scopes ? undefined : said.noScope),
    });
    if (!values) return;
    const body = { name: values.name, scopes: values.scopes?.split(',') };
    run(async () => {
      const made = await api.send<{ secret: string }>('POST', '/keys', body);
      setSecret(made.secret);
      pages.reload();
    });
  };
  const revoke = async (key: Key) => {
    const isOwn = key.id === own.id;
    const text = isOwn ? `${said.revokeText} ${said.revokeOwn}` : said.revokeText;
    if (!(await ask({ title: said.revokeTitle(key.name), text, yes: said.revoke, isGrave: true }))) return;
    run(async () => {
      await api.send('DELETE', `/keys/${key.id}`);
      tell(said.revoked);
      if (isOwn) signOut();
      else pages.reload();
    });
  };
  return (
    <>
      <Head title={words.tabs.keys}>
        <Reload pages={pages} />
        <button type="button" class="main" disabled={isBusy} onClick={() => void create()}>{said.create}</button>
      </Head>
      {error !== undefined && <Problem error={error} />}
      {secret !== undefined && <Secret secret={secret} hide={() => { setSecret(undefined); }} />}
      <Table
        pages={pages}
        id={(key) => key.id}
        empty={words.none}
        columns={[
          { label: said.name, cell: (key) => <>{key.name} <small>#{key.id}</small></> },
          { label: said.scopes, cell: (key) => key.scopes.join(', ') },
          { label: said.made, cell: (key) => <Time at={key.createTime} /> },
          { label: said.used, cell: (key) => (key.lastUseTime === null ? words.never : <Time at={key.lastUseTime} />) },
          {
            label: said.state,
            cell: ({ revokeTime }) => (revokeTime === null ? said.good : <span class="dim">{said.gone(timeOf(words, revokeTime))}</span>),
          },
          {
            label: words.actions,
            atEnd: true,
            cell: (key) =>
              key.revokeTime === null
                ? <button type="button" class="grave" disabled={isBusy} onClick={() => void revoke(key)}>{said.revoke}</button>
                : '',
          },
        ]}
      />
    </>
  );
}

function Secret({ secret, hide }: { secret: string; hide: () => void }) {
  const { words, tell } = useConsole();
  const said = words.keys;
  const copy = async () => {
    await navigator.clipboard.writeText(secret);
    tell(said.copied);
  };
  return (
    <div class="secret" role="status">
      <p>{said.secret}</p>
      <code>{secret}</code>
      <div class="buttons">
        {/* Absent where the page is not served over TLS. */}
        {window.isSecureContext && <button type="button" onClick={() => void copy()}>{said.copy}</button>}
        <button type="button" class="main" onClick={hide}>{said.hide}</button>
      </div>
    </div>
  );
}
