// Node's own fetch, by each name of this machine.

import { networkInterfaces } from "node:os";
import { atOnce, fails, say } from "./transcript.mjs";

const { TOKENPAK_TEST_URL: url, OPENAI_API_KEY: key } = process.env;
const hasV6 = Object.values(networkInterfaces()).flat().some((it) => it.address === "::1");
// The stand-in has but one name.
const names = url.includes("localhost") ? ["127.0.0.1", hasV6 ? "[::1]" : "127.0.0.1", "localhost"] : Array(3).fill("127.0.0.1");

async function ask(name, stream, more = {}) {
  const answer = await fetch(`${url.replace(/localhost|127\.0\.0\.1/, name)}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
    body: JSON.stringify({ model: "gpt-4o", messages: [{ role: "user", content: "Say hello." }], stream }),
    ...more,
  });
  const text = await answer.text();
  const words = [...text.matchAll(/"content":"([^"]*)"/g)].map((found) => JSON.parse(`"${found[1]}"`));
  return { status: answer.status, text: words.join("") };
}

for (const [n, name] of names.entries()) {
  say(`name ${n}`, { plain: await ask(name, false), stream: await ask(name, true) });
}
await fails("abandoned", () => ask(names[0], true, { signal: AbortSignal.abort() }));
await atOnce(() => ask(names[0], false), () => ask(names[2], true));
