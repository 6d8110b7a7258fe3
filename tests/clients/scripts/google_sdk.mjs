// The Google library for Node.

import { GoogleGenAI } from "@google/genai";
import { ASK, RULES, SCHEMA, TASK, TOOL, TOOL_ABOUT, TURNS_MAX, atOnce, fails, run, say } from "./transcript.mjs";

const client = new GoogleGenAI({ httpOptions: { retryOptions: { attempts: 3 } } });
const ask = { model: "gemini-2.5-pro", contents: ASK };
const textOf = (answer) => answer.candidates[0].content.parts.map((part) => part.text ?? "").join("");

async function streamed() {
  const seen = { text: "", usage: null };
  for await (const piece of await client.models.generateContentStream(ask)) {
    seen.text += piece.text ?? "";
    seen.usage = piece.usageMetadata;
  }
  return seen;
}

async function errors() {
  say("retried", { text: (await client.models.generateContent(ask)).text });
  await fails("refused", () => client.models.generateContent(ask));
  await fails("unknown key", () => client.models.generateContent(ask));
  let text = "";
  await fails("cut", async () => {
    for await (const piece of await client.models.generateContentStream(ask)) text += piece.text ?? "";
  });
  say("before the cut", { text });
}

async function contents() {
  const plain = await client.models.generateContent(ask);
  say("generate", { text: plain.text, why: plain.candidates[0].finishReason, usage: plain.usageMetadata });
  say("stream", await streamed());
  const chat = client.chats.create({ model: ask.model });
  const texts = [(await chat.sendMessage({ message: ASK })).text, (await chat.sendMessage({ message: ASK })).text];
  say("chat", { texts });
}

async function others() {
  const names = [];
  for await (const model of await client.models.list()) names.push(model.name);
  say("models", { names });
  say("one model", { name: (await client.models.get({ model: ask.model })).name });
  say("count_tokens", { tokens: (await client.models.countTokens(ask)).totalTokens });
  const made = await client.models.embedContent({ model: "gemini-embedding-001", contents: ["a", "b"] });
  say("embeddings", { lengths: made.embeddings.map((entry) => entry.values.length) });
}

async function agent() {
  const declared = { name: TOOL, description: TOOL_ABOUT, parametersJsonSchema: SCHEMA };
  const config = { systemInstruction: RULES, tools: [{ functionDeclarations: [declared] }] };
  const history = [{ role: "user", parts: [{ text: TASK }] }];
  for (let turn = 0; turn < TURNS_MAX; turn++) {
    const answer = await client.models.generateContent({ model: ask.model, contents: history, config });
    history.push(answer.candidates[0].content);
    const calls = answer.functionCalls ?? [];
    say("agent", { text: textOf(answer), calls: calls.map((call) => call.args) });
    if (calls.length === 0) return;
    const parts = calls.map(({ id, name, args }) => {
      return { functionResponse: { id, name, response: { output: run(args.command) } } };
    });
    history.push({ role: "user", parts });
  }
}

await errors();
await contents();
await others();
await agent();
await atOnce(
  async () => (await streamed()).text,
  async () => (await client.models.generateContent(ask)).text,
);
