// A company's back end that logs its own users in to the chat, in Node without dependencies.
//
//     IMSERVER_KEY=imk_… node examples/backend/login.mjs

import { createServer } from 'node:http';
import { json } from 'node:stream/consumers';

const ADMIN = 'http://127.0.0.1:8080/v1/admin';
const KEY = process.env.IMSERVER_KEY;
// In place of your own users: account and password, then your id and the name.
const USERS = { 'zhang rain': ['u-1001', '张三'], 'li snow': ['u-1002', '李四'] };

async function admin(method, path, body) {
  const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' };
  const signal = AbortSignal.timeout(5_000);
  const answer = await fetch(ADMIN + path, { method, headers, signal, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

async function login({ account, password }) {
  const user = USERS[`${account} ${password}`];
  if (!user) return [401, { detail: 'wrong account or password' }];
  const [externalId, name] = user;
  await admin('PUT', `/users/${externalId}`, { name });
  return [200, await admin('POST', '/sessions', { externalId })];
}

createServer(async (request, response) => {
  const failed = () => [502, { detail: 'the chat cannot be reached' }];
  const [status, body] = await json(request).then(login).catch(failed);
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}).listen(9000, '127.0.0.1');
