// The OpenAI library for Node.

import OpenAI from "openai";
import { ASK, RULES, SCHEMA, TASK, TOOL, TOOL_ABOUT, TURNS_MAX, atOnce, fails, run, say } from "./transcript.mjs";

const client = new OpenAI({ maxRetries: 2 });
const messages = [{ role: "user", content: ASK }];
const chat = { model: "gpt-4o", messages };

async function streamed(body) {
  const seen = { text: "", why: [], usage: null };
  for await (const chunk of await client.chat.completions.create({ ...body, stream: true })) {
    for (const choice of chunk.choices) {
      seen.text += choice.delta.content ?? "";
      if (choice.finish_reason) seen.why.push(choice.finish_reason);
    }
    seen.usage = chunk.usage ?? seen.usage;
  }
  return seen;
}

async function errors() {
  const answer = await client.chat.completions.create(chat);
  say("retried", { text: answer.choices[0].message.content });
  await fails("refused", () => client.chat.completions.create(chat));
  await fails("unknown key", () => client.responses.create({ model: "gpt-5", input: ASK }));
  let text = "";
  await fails("cut", async () => {
    for await (const chunk of await client.chat.completions.create({ ...chat, stream: true })) {
      text += chunk.choices[0]?.delta.content ?? "";
    }
  });
  say("before the cut", { text });
}

async function chats() {
  const plain = await client.chat.completions.create(chat);
  const { message, finish_reason } = plain.choices[0];
  say("chat", { text: message.content, why: finish_reason, usage: plain.usage });
  say("chat stream", await streamed(chat));
  say("chat stream, usage", await streamed({ ...chat, stream_options: { include_usage: true } }));
  const helper = client.chat.completions.stream(chat);
  say("chat helper", { text: await helper.finalContent() });
  const again = await client.chat.completions.create({ ...chat, messages: [...messages, message, ...messages] });
  say("chat again", { text: again.choices[0].message.content });
}

async function responses() {
  const plain = await client.responses.create({ model: "gpt-5", input: ASK });
  say("responses", { text: plain.output_text, status: plain.status, usage: plain.usage });
  const kinds = [];
  const stream = client.responses.stream({ model: "gpt-5", input: ASK });
  for await (const event of stream) kinds.push(event.type);
  const final = await stream.finalResponse();
  say("responses stream", { text: final.output_text, kinds, usage: final.usage });
}

async function others() {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  say("models", { ids });
  const made = await client.embeddings.create({ model: "text-embedding-3-small", input: ["a", "b"] });
  say("embeddings", { lengths: made.data.map((entry) => entry.embedding.length), usage: made.usage });
}

async function chatAgent() {
  const tools = [{ type: "function", function: { name: TOOL, description: TOOL_ABOUT, parameters: SCHEMA } }];
  const history = [{ role: "system", content: RULES }, { role: "user", content: TASK }];
  for (let turn = 0; turn < TURNS_MAX; turn++) {
    const answer = await client.chat.completions.stream({ model: "gpt-4o", messages: history, tools }).finalMessage();
    history.push(answer);
    const calls = answer.tool_calls ?? [];
    say("chat agent", { text: answer.content, calls: calls.map((call) => call.function.arguments) });
    if (calls.length === 0) return;
    for (const call of calls) {
      const content = run(JSON.parse(call.function.arguments).command);
      history.push({ role: "tool", tool_call_id: call.id, content });
    }
  }
}

async function responsesAgent() {
  const tools = [{ type: "function", name: TOOL, description: TOOL_ABOUT, parameters: SCHEMA, strict: false }];
  const input = [{ role: "user", content: TASK }];
  for (let turn = 0; turn < TURNS_MAX; turn++) {
    const answer = await client.responses.create({ model: "gpt-5", input, tools, instructions: RULES, store: false });
    input.push(...answer.output);
    const calls = answer.output.filter((item) => item.type === "function_call");
    say("responses agent", { text: answer.output_text, calls: calls.map((call) => call.arguments) });
    if (calls.length === 0) return;
    for (const call of calls) {
      const output = run(JSON.parse(call.arguments).command);
      input.push({ type: "function_call_output", call_id: call.call_id, output });
    }
  }
}

await errors();
await chats();
await responses();
await others();
await chatAgent();
await responsesAgent();
await atOnce(
  async () => (await streamed(chat)).text,
  async () => (await client.responses.create({ model: "gpt-5", input: ASK })).output_text,
);
