// What the service signs (`src/signing.rs` is tested with the same file) is verified by the official library of
// Standard Webhooks.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Webhook, WebhookVerificationError } from "standardwebhooks";

interface Signed {
  readonly secret: string;
  readonly id: string;
  readonly timestamp: string;
  readonly body: string;
  readonly signature: string;
}

const file = new URL("../../../tests/it/api/fixtures/webhook.json", import.meta.url);
const signed = JSON.parse(readFileSync(file, "utf8")) as Signed;

function headers(of: Signed): Record<string, string> {
  return {
    "webhook-id": of.id,
    "webhook-timestamp": of.timestamp,
    "webhook-signature": of.signature,
  };
}

test("the official library takes a delivery and nothing that was changed", (t) => {
  t.mock.timers.enable({ apis: ["Date"], now: Number(signed.timestamp) * 1000 });
  const webhook = new Webhook(signed.secret);
  assert.deepEqual(webhook.verify(signed.body, headers(signed)), JSON.parse(signed.body));
  const forged: Signed[] = [
    { ...signed, id: "evt_18_1795772459120" },
    { ...signed, timestamp: String(Number(signed.timestamp) + 1) },
    { ...signed, body: signed.body.replace("hi", "ho") },
  ];
  for (const other of forged) {
    assert.throws(() => webhook.verify(other.body, headers(other)), WebhookVerificationError);
  }
  const stranger = new Webhook("whsec_" + Buffer.alloc(32, 9).toString("base64"));
  assert.throws(() => stranger.verify(signed.body, headers(signed)), WebhookVerificationError);
});
