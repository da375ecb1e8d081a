// WeChat's server side as the load test needs it: `node wechat.js 60`. Every login code is somebody, and every text
// may be shown, which it says after some milliseconds.
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';

const after = Number(process.argv[2] ?? 60);

/** @type {Record<string, (query: URLSearchParams) => object>} */
const answers = {
  '/sns/jscode2session': (query) => ({
    openid: createHash('sha256').update(query.get('js_code') ?? '').digest('base64url').slice(0, 28),
    session_key: 'unused',
  }),
  '/cgi-bin/stable_token': () => ({ access_token: 'token', expires_in: 7200 }),
  '/wxa/msg_sec_check': () => ({
    errcode: 0,
    errmsg: 'ok',
    result: { suggest: 'pass', label: 100 },
    detail: [],
    trace_id: 'trace',
  }),
};

const server = createServer((request, response) => {
  request.resume().on('end', () => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
    const answer = answers[pathname];
    response.setHeader('content-type', 'application/json');
    const end = () => response.end(JSON.stringify(answer?.(searchParams) ?? { errcode: 40066 }));
    if (pathname === '/wxa/msg_sec_check') setTimeout(end, after);
    else end();
  });
});
server.listen(9002, '127.0.0.1');
