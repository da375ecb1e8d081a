// Endpoints of webhooks, and deliveries that did not succeed at once.

import { useState } from 'preact/hooks';

import type { Delivery, Endpoint } from '../api';
import { timeOf, useConsole } from '../context';
import { Head, Problem, Reload, Scoped, Table, Time, useActs, usePages } from '../parts';

export function Webhooks() {
  return (
    <Scoped scope="webhooks">
      <All />
    </Scoped>
  );
}

function All() {
  const [chosen, setChosen] = useState<string>();
  return chosen === undefined
    ? <Endpoints choose={setChosen} />
    : <Deliveries of={chosen} back={() => { setChosen(undefined); }} />;
}

function Endpoints({ choose }: { choose: (name: string) => void }) {
  const { words, api, ask, tell } = useConsole();
  const said = words.webhooks;
  const pages = usePages<Endpoint>(() => api.page('/webhooks', 'endpoints', {}), [api]);
  const { isBusy, error, run } = useActs();
  const replay = async ({ name }: Endpoint) => {
    const values = await ask({
      title: said.replayTitle(name),
      text: said.replayText,
      yes: said.again,
      fields: [{ name: 'since', label: said.since, kind: 'time', required: true }],
    });
    const since = values?.since;
    if (since === undefined) return;
    run(async () => {
      await api.send('POST', `/webhooks/${name}/replay`, { since: new Date(since).toISOString() });
      tell(said.did);
      pages.reload();
    });
  };
  return (
    <>
      <Head title={words.tabs.webhooks}><Reload pages={pages} /></Head>
      {error !== undefined && <Problem error={error} />}
      <Table
        pages={pages}
        id={(endpoint) => endpoint.name}
        empty={said.empty}
        columns={[
          { label: said.name, cell: (endpoint) => endpoint.name },
          { label: said.host, cell: (endpoint) => endpoint.host },
          { label: said.kinds, cell: ({ kinds }) => (kinds.length === 0 ? said.all : kinds.join(', ')) },
          {
            label: said.state,
            cell: ({ offSince }) =>
              offSince === null ? said.on : <span class="badge">{said.off(timeOf(words, offSince))}</span>,
          },
          { label: said.waiting, atEnd: true, cell: (endpoint) => endpoint.waiting },
          { label: said.dead, atEnd: true, cell: (endpoint) => endpoint.dead },
          {
            label: words.actions,
            atEnd: true,
            cell: (endpoint) => (
              <div class="buttons">
                <button type="button" onClick={() => { choose(endpoint.name); }}>{said.deliveries}</button>
                <button type="button" disabled={isBusy} onClick={() => void replay(endpoint)}>{said.replay}</button>
              </div>
            ),
          },
        ]}
      />
    </>
  );
}

function Deliveries({ of, back }: { of: string; back: () => void }) {
  const { words, api, tell } = useConsole();
  const said = words.webhooks;
  const path = `/webhooks/${of}`;
  const pages = usePages<Delivery>(
    (last) => api.page(`${path}/deliveries`, 'deliveries', { after: last?.id }),
    [api, of],
  );
  const { isBusy, error, run } = useActs();
  const again = ({ id }: Delivery) => {
    run(async () => {
      await api.send('POST', `${path}/replay`, { ids: [id] });
      tell(said.did);
      pages.reload();
    });
  };
  return (
    <>
      <Head title={said.deliveriesOf(of)}>
        <Reload pages={pages} />
        <button type="button" onClick={back}>{words.back}</button>
      </Head>
      {error !== undefined && <Problem error={error} />}
      <Table
        pages={pages}
        id={(delivery) => delivery.id}
        empty={said.noDeliveries}
        columns={[
          { label: words.time, cell: (delivery) => <Time at={delivery.timestamp} /> },
          { label: said.event, cell: (delivery) => <>{delivery.type}<small class="below">{delivery.id}</small></> },
          { label: said.state, cell: (delivery) => <span class="badge" data-state={delivery.state}>{said.states[delivery.state]}</span> },
          { label: said.attempts, atEnd: true, cell: (delivery) => delivery.attempts },
          { label: said.failure, cell: (delivery) => delivery.lastFailure ?? '—' },
          { label: said.next, cell: ({ nextTime }) => (nextTime === undefined ? '—' : <Time at={nextTime} />) },
          {
            label: words.actions,
            atEnd: true,
            cell: (delivery) => <button type="button" disabled={isBusy} onClick={() => { again(delivery); }}>{said.again}</button>,
          },
        ]}
      />
    </>
  );
}
