// What was said in one conversation: read with a reason, which is in the audit log.

import { useState } from 'preact/hooks';

import type { Chat, Page, Talk } from '../api';
import { useConsole } from '../context';
import { Head, Problem, Said, Scoped, Table, Time, User, useActs, usePages } from '../parts';

/** Which conversation is read, and why. */
interface Wanted {
  id: string;
  reason: string;
}

export function Conversations({ at }: { at: number | undefined }) {
  const { words } = useConsole();
  return (
    <>
      <Head title={words.tabs.conversations} />
      <Scoped scope="conversations">
        <Reader key={at} at={at} />
      </Scoped>
    </>
  );
}

function Reader({ at }: { at: number | undefined }) {
  const { words } = useConsole();
  const said = words.conversations;
  const [id, setId] = useState(at === undefined ? '' : String(at));
  const [reason, setReason] = useState('');
  const [wanted, setWanted] = useState<Wanted>();
  const read = (event: Event) => {
    event.preventDefault();
    setWanted({ id: id.trim(), reason: reason.trim() });
  };
  return (
    <>
      <form class="reader" onSubmit={read}>
        <label>
          <span>{said.id}</span>
          <input name="id" required maxLength={140} value={id} onInput={(event) => { setId(event.currentTarget.value); }} />
        </label>
        <label>
          <span>{said.why}</span>
          <input name="reason" required pattern=".*\S.*" maxLength={200} value={reason} onInput={(event) => { setReason(event.currentTarget.value); }} />
        </label>
        <button type="submit" class="main">{said.open}</button>
      </form>
      <p class="note">{said.note}</p>
      {wanted !== undefined && <Chats wanted={wanted} />}
    </>
  );
}

function Chats({ wanted }: { wanted: Wanted }) {
  const { words, api, ask, tell } = useConsole();
  const said = words.conversations;
  const path = `/conversations/${encodeURIComponent(wanted.id)}`;
  const talks = usePages<Talk>(async () => ({ items: [await api.get<Talk>(path)], hasMore: false }), [api, wanted]);
  const pages = usePages<Chat>(async (last) => {
    const query = { reason: wanted.reason, before: last?.id };
    const { items, hasMore }: Page<Chat> = await api.page(`${path}/chats`, 'chats', query);
    return { items: items.reverse(), hasMore };
  }, [api, wanted]);
  const { isBusy, error, run } = useActs();
  const recall = async (chat: Chat) => {
    if (!(await ask({ title: said.recallTitle, text: said.recallText, yes: said.recall, isGrave: true }))) return;
    run(async () => {
      await api.send('POST', `/chats/${chat.id}/recall`);
      tell(said.didRecall);
      pages.reload();
    });
  };
  const talk = talks.items?.[0];
  return (
    <section>
      {talk !== undefined && (
        <h2>
          {talk.title ?? said.kinds[talk.kind] ?? talk.kind} <small>#{talk.id}</small>
          {talk.memberCount !== undefined && <small> · {said.members(talk.memberCount)}</small>}
        </h2>
      )}
      {error !== undefined && <Problem error={error} />}
      <Table
        pages={pages}
        id={(chat) => chat.id}
        empty={said.empty}
        more={words.older}
        columns={[
          { label: words.time, cell: (chat) => <Time at={chat.createTime} /> },
          { label: words.held.from, cell: (chat) => <User id={chat.userId} name={chat.userName} /> },
          {
            label: words.held.chat,
            cell: (chat) =>
              chat.state === 'recalled'
                ? <i>{said.recalled}</i>
                : <Said kind={chat.kind} content={chat.content} {...(chat.body && { body: chat.body })} />,
          },
          {
            label: words.actions,
            atEnd: true,
            cell: (chat) =>
              chat.state === 'recalled' || chat.kind === 'system'
                ? ''
                : <button type="button" disabled={isBusy} onClick={() => void recall(chat)}>{said.recall}</button>,
          },
        ]}
      />
    </section>
  );
}
