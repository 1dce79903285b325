// Shows what the agent's status tells of low quotas as the host's toasts, each once. What is told, when, and in which
// words is the agent's; nothing is decided here.

const REMEMBERED = 512;

/**
 * @param {{ tui?: { showToast?: (toast: { body: { message: string, variant: string } }) => unknown } }} client
 *   The host's client; whatever of it is missing or fails is passed over.
 * @param {number} since What was told before is not shown: milliseconds since the epoch, the start of this host.
 */
export function toaster(client, since) {
  const shown = new Set();
  /** @param {{ alerts?: { id: string, at: number, toast: { message: string, variant: string } }[] }} status */
  return async function show(status) {
    for (const { id, at, toast } of status?.alerts ?? []) {
      if (at < since || shown.has(id)) continue;
      shown.add(id);
      if (shown.size > REMEMBERED) shown.delete(shown.values().next().value);
      try {
        await client?.tui?.showToast?.({ body: { message: toast.message, variant: toast.variant } });
      } catch {
        // A host without a screen still serves.
      }
    }
  };
}
