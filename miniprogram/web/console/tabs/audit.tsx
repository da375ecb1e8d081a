// What was done by the server API and the command line.

import type { AuditEntry } from '../api';
import { useConsole } from '../context';
import { Head, Reload, Scoped, Table, Time, usePages } from '../parts';

export function Audit() {
  return (
    <Scoped scope="audit">
      <List />
    </Scoped>
  );
}

function List() {
  const { words, api } = useConsole();
  const said = words.audit;
  const pages = usePages<AuditEntry>((last) => api.page('/audit', 'entries', { before: last?.id }), [api]);
  return (
    <>
      <Head title={words.tabs.audit}><Reload pages={pages} /></Head>
      <Table
        pages={pages}
        id={(entry) => entry.id}
        empty={words.none}
        more={words.older}
        columns={[
          { label: words.time, cell: (entry) => <Time at={entry.createTime} /> },
          {
            label: said.key,
            cell: ({ keyId, keyName }) => (keyId === null ? said.cli : <>{keyName} <small>#{keyId}</small></>),
          },
          { label: said.action, cell: (entry) => entry.action },
          { label: said.subject, cell: (entry) => entry.subject ?? '—' },
          { label: said.reason, cell: (entry) => entry.reason ?? '—' },
          {
            label: said.outcome,
            cell: ({ outcome }) => {
              if (outcome === null) return <span class="dim">{said.open}</span>;
              return outcome === 'ok' ? outcome : <span class="badge">{outcome}</span>;
            },
          },
        ]}
      />
    </>
  );
}
