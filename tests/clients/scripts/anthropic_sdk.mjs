// The Anthropic library for Node.

import Anthropic from "@anthropic-ai/sdk";
import { ASK, RULES, SCHEMA, TASK, TOOL, TOOL_ABOUT, TURNS_MAX, atOnce, fails, run, say } from "./transcript.mjs";

const client = new Anthropic({ maxRetries: 2 });
const messages = [{ role: "user", content: ASK }];
const base = { model: "claude-sonnet-4-5", max_tokens: 1024, messages };
const textOf = (message) =>
  message.content.filter((block) => block.type === "text").map((block) => block.text).join("");

async function errors() {
  say("retried", { text: textOf(await client.messages.create(base)) });
  await fails("refused", () => client.messages.create(base));
  await fails("unknown key", () => client.messages.create(base));
  let text = "";
  await fails("cut", async () => {
    for await (const event of await client.messages.create({ ...base, stream: true })) {
      text += event.delta?.text ?? "";
    }
  });
  say("before the cut", { text });
}

async function ask() {
  const plain = await client.messages.create(base);
  say("messages", { text: textOf(plain), why: plain.stop_reason, usage: plain.usage });
  const final = await client.messages.stream(base).finalMessage();
  say("messages stream", { text: textOf(final), why: final.stop_reason, usage: final.usage });
  // What the library keeps is what it sends back.
  const history = [...messages, { role: "assistant", content: final.content }, ...messages];
  say("messages again", { text: textOf(await client.messages.create({ ...base, messages: history })) });
}

async function others() {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  say("models", { ids });
  const counted = await client.messages.countTokens({ model: base.model, messages });
  say("count_tokens", { tokens: counted.input_tokens });
}

async function agent() {
  const mark = { type: "ephemeral" };
  const about = {
    model: base.model,
    max_tokens: 8000,
    system: [{ type: "text", text: RULES, cache_control: mark }],
    tools: [{ name: TOOL, description: TOOL_ABOUT, input_schema: SCHEMA }],
    thinking: { type: "enabled", budget_tokens: 2000 },
  };
  const history = [{ role: "user", content: TASK }];
  for (let turn = 0; turn < TURNS_MAX; turn++) {
    const answer = await client.messages.stream({ ...about, messages: history }).finalMessage();
    history.push({ role: "assistant", content: answer.content });
    const calls = answer.content.filter((block) => block.type === "tool_use");
    const thoughts = answer.content.filter((block) => block.type === "thinking").map((block) => block.thinking);
    say("agent", { text: textOf(answer), thoughts, calls: calls.map((call) => call.input) });
    if (calls.length === 0) return;
    for (const message of history) {
      if (message.role === "user" && Array.isArray(message.content)) delete message.content.at(-1).cache_control;
    }
    const content = calls.map((call) => {
      return { type: "tool_result", tool_use_id: call.id, content: run(call.input.command) };
    });
    content.at(-1).cache_control = mark;
    history.push({ role: "user", content });
  }
}

await errors();
await ask();
await others();
await agent();
await atOnce(
  async () => textOf(await client.messages.stream(base).finalMessage()),
  async () => textOf(await client.messages.create(base)),
);
