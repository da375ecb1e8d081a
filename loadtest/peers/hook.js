// A back end that is asked before each send, and allows it after some milliseconds: `node hook.js 50`. It does not
// check signatures: `examples/backend/` does.
import { createServer } from 'node:http';

const after = Number(process.argv[2] ?? 50);
const server = createServer((request, response) => {
  request.resume().on('end', () => {
    response.setHeader('content-type', 'application/json');
    setTimeout(() => response.end('{"action":"allow"}'), after);
  });
});
server.listen(9001, '127.0.0.1');
