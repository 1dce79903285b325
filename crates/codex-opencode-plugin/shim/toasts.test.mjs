// Run by `cargo test -p codex-opencode-plugin --test shim`, or by `node --test` here.
import assert from "node:assert/strict";
import test from "node:test";
import { toaster } from "./toasts.mjs";

const START = 1_800_000_000_000;

const alert = (threshold, at) => ({
  id: `record:1/300/${threshold}/${at}`,
  at,
  toast: { message: `Heads up, you have less than ${threshold}% of your 5h quota left.`, variant: "warning" },
});

/** A host that keeps what it was shown. */
function host() {
  const seen = [];
  return { seen, client: { tui: { showToast: ({ body }) => seen.push(`${body.variant}: ${body.message}`) } } };
}

const heads = (...thresholds) =>
  thresholds.map((threshold) => `warning: Heads up, you have less than ${threshold}% of your 5h quota left.`);

test("each threshold is shown once, however often the status tells of it", async () => {
  const { seen, client } = host();
  const show = toaster(client, START);
  const told = [alert(25, START + 1)];
  await show({ alerts: told });
  await show({ alerts: told });
  assert.deepEqual(seen, heads(25));
  told.push(alert(10, START + 2));
  await show({ alerts: told });
  await show({ alerts: told });
  assert.deepEqual(seen, heads(25, 10));
  // The window started anew, and is low again.
  await show({ alerts: [...told, alert(25, START + 20_000_000)] });
  assert.deepEqual(seen, heads(25, 10, 25));
});

test("what was told before this host began is not shown again", async () => {
  const { seen, client } = host();
  await toaster(client, START)({ alerts: [alert(25, START - 1), alert(20, START)] });
  assert.deepEqual(seen, heads(20));
});

test("two answers at once show it once", async () => {
  const { seen, client } = host();
  const show = toaster(client, START);
  await Promise.all([show({ alerts: [alert(5, START)] }), show({ alerts: [alert(5, START)] })]);
  assert.deepEqual(seen, heads(5));
});

test("a host that cannot show toasts, and a status without alerts, are passed over", async () => {
  const broken = { tui: { showToast: () => Promise.reject(new Error("no screen")) } };
  for (const client of [undefined, {}, { tui: {} }, broken]) {
    const show = toaster(client, START);
    await show({ alerts: [alert(25, START)] });
    await show({});
    await show(undefined);
  }
});
