// The shop's back end: it knows the shop's own people, and gets them sessions of the chat. Node, without dependencies.
//
//     IMSERVER_KEY=imk_… node examples/embed/backend.mjs

import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { json } from 'node:stream/consumers';

const { IMSERVER_KEY, IMSERVER = 'http://127.0.0.1:8080', PORT = '9000' } = process.env;
// In place of the shop's own database: account and password, then the person.
const FLORIST = { id: 's-1', name: '花间·阿月' };
const PEOPLE = { 'lin rain': { id: 'c-1001', name: '林小雨' }, 'yue snow': FLORIST };
const signedIn = new Map();

async function admin(method, path, body) {
  const headers = { authorization: `Bearer ${IMSERVER_KEY}`, 'content-type': 'application/json' };
  const signal = AbortSignal.timeout(5_000);
  const answer = await fetch(`${IMSERVER}/v1/admin${path}`, { method, headers, signal, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}
const introduce = ({ id, name }) => admin('PUT', `/users/${id}`, { name });

const routes = {
  async '/sign-in'({ account, password }) {
    const person = PEOPLE[`${account} ${password}`];
    if (!person) return [401, { detail: 'wrong account or password' }];
    const token = randomUUID();
    signedIn.set(token, person);
    return [200, { ...person, token, isFlorist: person === FLORIST }];
  },
  async '/chat'({ token }) {
    const person = signedIn.get(token);
    if (!person) return [401, { detail: 'sign in first' }];
    const [florist] = await Promise.all([FLORIST, person].map(introduce));
    const session = await admin('POST', '/sessions', { externalId: person.id });
    return [200, { server: IMSERVER, florist: florist.id, session }];
  },
};

// Only the preview in a browser needs these; mini programs ask nobody.
const anyOrigin = { 'access-control-allow-origin': '*', 'access-control-allow-headers': 'content-type' };
createServer(async (request, response) => {
  const route = request.method === 'POST' ? routes[request.url] : undefined;
  const failed = () => [502, { detail: 'the chat cannot be reached' }];
  const [status, body] = route ? await json(request).then(route).catch(failed) : [request.method === 'OPTIONS' ? 200 : 404, {}];
  response.writeHead(status, { 'content-type': 'application/json', ...anyOrigin }).end(JSON.stringify(body));
}).listen(Number(PORT), '127.0.0.1');
