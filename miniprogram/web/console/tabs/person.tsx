// One person, and what can be done to them.

import { userPath, type Person, type Talk } from '../api';
import { useConsole } from '../context';
import { Head, Problem, Table, Time, useActs, usePages } from '../parts';
import { Restriction } from './people';

export function One({ id, back }: { id: number; back: () => void }) {
  const { words, api, can } = useConsole();
  const said = words.people;
  const pages = usePages<Person>(() => api.page('/users', 'users', { user: `id:${id}` }), [api, id]);
  const person = pages.items?.[0];
  return (
    <>
      <Head title={person?.name ?? `#${id}`}>
        <button type="button" onClick={back}>{words.back}</button>
      </Head>
      {pages.error !== undefined && <Problem error={pages.error} />}
      {pages.items?.length === 0 && <p class="empty">{words.faults.user_not_found}</p>}
      {person !== undefined && (
        <>
          <dl class="facts">
            <div><dt>{said.id}</dt><dd>{person.id}</dd></div>
            <div><dt>{said.external}</dt><dd>{person.externalId ?? '—'}</dd></div>
            <div><dt>{said.since}</dt><dd><Time at={person.createTime} /></dd></div>
            <div><dt>{said.restriction}</dt><dd><Restriction of={person} /></dd></div>
          </dl>
          <Acts person={person} reload={pages.reload} back={back} />
          {can('conversations') && <Talks id={id} />}
        </>
      )}
    </>
  );
}

function Acts({ person, reload, back }: { person: Person; reload: () => void; back: () => void }) {
  const { words, api, ask, tell, can } = useConsole();
  const said = words.people;
  const { isBusy, error, run } = useActs();
  const path = userPath(person.id);
  const restrict = async () => {
    const values = await ask({
      title: said.restrictTitle,
      yes: said.restrict,
      isGrave: true,
      fields: [
        { name: 'kind', label: said.kind, kind: 'choice', options: [['muted', said.kinds.muted], ['banned', said.kinds.banned]] },
        { name: 'until', label: said.untilField, kind: 'time' },
        { name: 'reason', label: said.reason, max: 500 },
      ],
    });
    if (!values) return;
    const { kind, until, reason } = values;
    const body = {
      kind,
      ...(until ? { until: new Date(until).toISOString() } : {}),
      ...(reason?.trim() ? { reason: reason.trim() } : {}),
    };
    run(async () => {
      await api.send('PUT', `${path}/restriction`, body);
      tell(said.restricted);
      reload();
    });
  };
  const lift = () => {
    run(async () => {
      await api.send('DELETE', `${path}/restriction`);
      tell(said.lifted);
      reload();
    });
  };
  const endSessions = async () => {
    if (!(await ask({ title: said.endTitle, text: said.endText, yes: said.endSessions, isGrave: true }))) return;
    run(async () => {
      await api.send('DELETE', `${path}/sessions`);
      tell(said.ended);
    });
  };
  const exportAll = () => {
    run(async () => {
      tell(said.exporting);
      const url = URL.createObjectURL(await api.file(`${path}/export`));
      const link = Object.assign(document.createElement('a'), { href: url, download: `user-${person.id}.tar` });
      link.click();
      // The browser has begun to read it by then.
      setTimeout(() => { URL.revokeObjectURL(url); }, 60_000);
      tell(said.exported);
    });
  };
  const erase = async () => {
    const values = await ask({
      title: said.eraseTitle,
      text: said.eraseText,
      yes: said.erase,
      isGrave: true,
      fields: [{ name: 'id', label: said.eraseConfirm(person.id), required: true, must: [String(person.id), said.eraseWrong] }],
    });
    if (!values) return;
    run(async () => {
      await api.send('DELETE', path);
      tell(said.erased);
      back();
    });
  };
  return (
    <>
      {error !== undefined && <Problem error={error} />}
      <div class="buttons acts">
        {can('moderation') && <button type="button" disabled={isBusy} onClick={() => void restrict()}>{said.restrict}</button>}
        {can('moderation') && person.restriction !== null && (
          <button type="button" disabled={isBusy} onClick={lift}>{said.lift}</button>
        )}
        {can('sessions') && <button type="button" disabled={isBusy} onClick={() => void endSessions()}>{said.endSessions}</button>}
        <button type="button" disabled={isBusy} onClick={exportAll}>{said.export}</button>
        <button type="button" class="grave" disabled={isBusy} onClick={() => void erase()}>{said.erase}</button>
      </div>
    </>
  );
}

function Talks({ id }: { id: number }) {
  const { words, api, open } = useConsole();
  const said = words.people;
  const pages = usePages<Talk>(
    (last) => api.page(`${userPath(id)}/conversations`, 'conversations', { before: last?.position }),
    [api, id],
  );
  return (
    <section>
      <h2>{said.talks}</h2>
      <Table
        pages={pages}
        id={(talk) => talk.id}
        empty={said.noTalks}
        columns={[
          {
            label: words.tabs.conversations,
            cell: (talk) => (
              <button type="button" class="link" onClick={() => { open('conversations', talk.id); }}>
                {talk.title ?? talk.peerName ?? words.conversations.kinds[talk.kind] ?? talk.kind} <small>#{talk.id}</small>
              </button>
            ),
          },
          {
            label: said.kind,
            cell: (talk) => (
              <>
                {words.conversations.kinds[talk.kind] ?? talk.kind}
                {talk.memberCount !== undefined && ` · ${words.conversations.members(talk.memberCount)}`}
                {talk.left && ` · ${said.left}`}
              </>
            ),
          },
          { label: said.external, cell: (talk) => talk.externalId ?? '—' },
        ]}
      />
    </section>
  );
}
