// A company's back end that hears what happens in the chat, and is asked before each send, in Node without
// dependencies. Both are signed by Standard Webhooks (https://www.standardwebhooks.com), which has libraries for
// other languages.
//
//     node examples/backend/events.mjs

import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';

// The secret of both in imserver.toml.
const SECRET = Buffer.from('MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'base64');

/** Whether this body comes from the service, and is no older than five minutes. */
function isSigned(headers, body) {
  const sentAt = headers['webhook-timestamp'] ?? '';
  const hmac = createHmac('sha256', SECRET).update(`${headers['webhook-id']}.${sentAt}.${body}`);
  const expected = Buffer.from(`v1,${hmac.digest('base64')}`);
  const isNew = Math.abs(Date.now() / 1_000 - Number(sentAt)) < 300;
  const isExpected = (each) => each.length === expected.length && timingSafeEqual(each, expected);
  const signatures = (headers['webhook-signature'] ?? '').split(' ').map((each) => Buffer.from(each));
  return isNew && signatures.some(isExpected);
}

/** Whether a chat may be sent. */
function verdict(chat) {
  if (chat.content.includes('微信号')) return { action: 'deny', detail: '请不要发送联系方式' };
  return { action: 'allow' };
}

createServer(async (request, response) => {
  const body = await text(request);
  if (!isSigned(request.headers, body)) return response.writeHead(401).end('{}');
  const { type, data } = JSON.parse(body);
  response.setHeader('content-type', 'application/json');
  if (type === 'chat.before_send') return response.end(JSON.stringify(verdict(data.chat)));
  // An event may come again, with the same id. A real back end keeps the ids that it has seen.
  console.log(type, JSON.stringify(data));
  response.end('{}');
}).listen(9001, '127.0.0.1');
