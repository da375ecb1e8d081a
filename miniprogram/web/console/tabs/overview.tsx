// How the service does, renewed every few seconds.

import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';

import type { Status } from '../api';
import { useConsole } from '../context';
import { Head, Problem, Scoped, Time } from '../parts';

/** Milliseconds between two looks. */
const EVERY = 5_000;

interface Look {
  status: Status;
  at: number;
  /** Chats in a minute since the look before; `undefined`: that was another replica, or there was none. */
  perMinute: number | undefined;
}

export function Overview() {
  const { words } = useConsole();
  return (
    <>
      <Head title={words.tabs.overview} />
      <Scoped scope="status">
        <Figures />
      </Scoped>
    </>
  );
}

function Figures() {
  const { words, api } = useConsole();
  const [look, setLook] = useState<Look>();
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    let isOver = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const round = async () => {
      try {
        const status = await api.get<Status>('/status');
        if (isOver) return;
        setLook((before) => next(before, status));
        setError(undefined);
      } catch (problem) {
        if (isOver) return;
        setError(problem);
      }
      timer = setTimeout(() => void round(), EVERY);
    };
    void round();
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [api]);
  return (
    <>
      {error !== undefined && <Problem error={error} />}
      {look === undefined && error === undefined && <p class="empty" role="status">{words.loading}</p>}
      {look !== undefined && <Board look={look} />}
    </>
  );
}

function next(before: Look | undefined, status: Status): Look {
  const at = Date.now();
  const isSame = before?.status.startTime === status.startTime;
  const perMinute = isSame ? ((status.sends - before.status.sends) * 60_000) / Math.max(at - before.at, 1) : undefined;
  return { status, at, perMinute };
}

function Board({ look: { status, perMinute } }: { look: Look }) {
  const { words } = useConsole();
  const said = words.overview;
  const counted = (count: number) => (count >= 1_000 ? '1000+' : String(count));
  return (
    <>
      <dl class="figures">
        <Figure name={said.health} state={status.status}>
          {said.healthOf[status.status] ?? status.status}
          {status.reasons.map((reason) => <small key={reason}>{said.reasons[reason] ?? reason}</small>)}
        </Figure>
        <Figure name={said.sockets}>{status.sockets}</Figure>
        <Figure name={said.sends}>
          {status.sends}
          {perMinute !== undefined && <small>{said.perMinute(Math.round(perMinute))}</small>}
        </Figure>
        <Figure name={said.held} state={status.held > 0 ? 'degraded' : 'ok'}>{counted(status.held)}</Figure>
        <Figure name={said.reports} state={status.reports > 0 ? 'degraded' : 'ok'}>{counted(status.reports)}</Figure>
        <Figure name={said.lag}>
          {status.outboxLagMs === null ? <small>{said.noEndpoints}</small> : `${(status.outboxLagMs / 1000).toFixed(1)} s`}
        </Figure>
        <Figure name={said.waiting}>{status.webhooksWaiting}</Figure>
        <Figure name={said.dead} state={status.webhooksDead > 0 ? 'unavailable' : 'ok'}>{status.webhooksDead}</Figure>
        <Figure name={said.version}>{status.version}</Figure>
        <Figure name={said.since}><span class="small"><Time at={status.startTime} /></span></Figure>
      </dl>
      <p class="note">{said.ofReplica}</p>
    </>
  );
}

function Figure({ name, state, children }: { name: string; state?: string; children: ComponentChildren }) {
  return (
    <div class="figure" data-state={state}>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
