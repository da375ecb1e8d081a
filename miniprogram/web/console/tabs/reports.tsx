// Reports about which nothing was done yet.

import type { Report } from '../api';
import { useConsole } from '../context';
import { Head, Problem, Reload, Said, Scoped, Table, Time, User, useActs, usePages } from '../parts';

export function Reports() {
  const { words } = useConsole();
  return (
    <Scoped scope="moderation">
      <List title={words.tabs.reports} />
    </Scoped>
  );
}

function List({ title }: { title: string }) {
  const { words, api, ask, tell, open, can } = useConsole();
  const said = words.reports;
  const pages = usePages<Report>((last) => api.page('/reports', 'reports', { after: last?.id }), [api]);
  const { isBusy, error, run } = useActs();
  const decide = (report: Report, action: string) => {
    run(async () => {
      try {
        await api.send('POST', `/reports/${report.id}`, { action });
        tell(said.done);
      } finally {
        pages.reload();
      }
    });
  };
  const grave = {
    recall: { title: said.recallTitle, text: said.recallText, yes: said.recall },
    mute: { title: said.muteTitle, text: said.muteText, yes: said.mute },
    ban: { title: said.banTitle, text: said.banText, yes: said.ban },
  };
  const asked = async (report: Report, action: keyof typeof grave) => {
    if (await ask({ ...grave[action], isGrave: true })) decide(report, action);
  };
  const buttons = (report: Report) => {
    const conversation = report.chat?.conversationId;
    return (
      <div class="buttons">
        {conversation !== undefined && can('conversations') && (
          <button type="button" onClick={() => { open('conversations', conversation); }}>{said.read}</button>
        )}
        <button type="button" disabled={isBusy} onClick={() => { decide(report, 'resolve'); }}>{said.resolve}</button>
        {report.chatId !== undefined && (
          <button type="button" disabled={isBusy} onClick={() => void asked(report, 'recall')}>{said.recall}</button>
        )}
        <button type="button" disabled={isBusy} onClick={() => void asked(report, 'mute')}>{said.mute}</button>
        <button type="button" class="grave" disabled={isBusy} onClick={() => void asked(report, 'ban')}>{said.ban}</button>
      </div>
    );
  };
  return (
    <>
      <Head title={title}><Reload pages={pages} /></Head>
      {error !== undefined && <Problem error={error} />}
      <Table
        pages={pages}
        id={(report) => report.id}
        empty={said.empty}
        columns={[
          { label: words.time, cell: (report) => <Time at={report.createTime} /> },
          { label: said.by, cell: (report) => <User id={report.userId} name={report.userName} /> },
          { label: said.of, cell: (report) => <User id={report.reportedUserId} name={report.reportedUserName} /> },
          {
            label: said.why,
            cell: ({ reason, detail }) => (
              <>
                {said.reasons[reason] ?? reason}
                {detail !== undefined && <small class="below">{detail}</small>}
              </>
            ),
          },
          {
            label: said.chat,
            cell: ({ chat }) => (chat ? <Said kind={chat.kind} content={chat.content} {...(chat.body && { body: chat.body })} /> : '—'),
          },
          { label: words.actions, atEnd: true, cell: buttons },
        ]}
      />
    </>
  );
}
