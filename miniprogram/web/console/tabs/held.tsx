// Chats that are held back until somebody decides.

import type { Held } from '../api';
import { useConsole } from '../context';
import { Head, Problem, Reload, Said, Scoped, Table, Time, User, useActs, usePages } from '../parts';

export function HeldTab() {
  const { words } = useConsole();
  return (
    <Scoped scope="moderation">
      <List title={words.tabs.held} />
    </Scoped>
  );
}

function List({ title }: { title: string }) {
  const { words, api, ask, tell, open, can } = useConsole();
  const said = words.held;
  const pages = usePages<Held>((last) => api.page('/held', 'held', { after: last?.id }), [api]);
  const { isBusy, error, run } = useActs();
  const decide = (held: Held, body: object, done: string) => {
    run(async () => {
      try {
        await api.send('POST', `/held/${held.id}`, body);
        tell(done);
      } finally {
        // A release that was refused has decided it, too.
        pages.reload();
      }
    });
  };
  const refuse = async (held: Held) => {
    const values = await ask({
      title: said.refuseTitle,
      text: said.refuseText,
      yes: said.refuse,
      isGrave: true,
      fields: [{ name: 'detail', label: said.detail, max: 200 }],
    });
    if (!values) return;
    const detail = values.detail?.trim();
    decide(held, { action: 'refuse', ...(detail ? { detail } : {}) }, said.refused);
  };
  return (
    <>
      <Head title={title}><Reload pages={pages} /></Head>
      {error !== undefined && <Problem error={error} />}
      <Table
        pages={pages}
        id={(held) => held.id}
        empty={said.empty}
        columns={[
          { label: words.time, cell: (held) => <Time at={held.createTime} /> },
          { label: said.from, cell: (held) => <User id={held.userId} name={held.userName} /> },
          {
            label: said.to,
            cell: ({ targetUserId, targetUserName, conversationId: id }) => {
              if (targetUserId !== undefined) return <User id={targetUserId} name={targetUserName} />;
              if (id === undefined || !can('conversations')) return id ?? '—';
              return <button type="button" class="link" onClick={() => { open('conversations', id); }}>{words.conversations.kinds.group} #{id}</button>;
            },
          },
          { label: said.chat, cell: ({ kind, content, body }) => <Said kind={kind} content={content} {...(body && { body })} /> },
          {
            label: words.actions,
            atEnd: true,
            cell: (held) => (
              <div class="buttons">
                <button type="button" class="main" disabled={isBusy} onClick={() => { decide(held, { action: 'release' }, said.released); }}>{said.release}</button>
                <button type="button" disabled={isBusy} onClick={() => void refuse(held)}>{said.refuse}</button>
              </div>
            ),
          },
        ]}
      />
    </>
  );
}
