// The Vercel AI SDK with its OpenAI and Anthropic providers; it runs the loop of tool calls itself.

import { anthropic } from "@ai-sdk/anthropic";
import { openai } from "@ai-sdk/openai";
import { embedMany, generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";
import { ASK, RULES, SCHEMA, TASK, TOOL, TOOL_ABOUT, TURNS_MAX, atOnce, fails, run, say } from "./transcript.mjs";

const models = {
  messages: anthropic("claude-sonnet-4-5"),
  chat: openai.chat("gpt-4o"),
  responses: openai.responses("gpt-5"),
};

async function streamed(model) {
  const errors = [];
  const result = streamText({ model, prompt: ASK, maxRetries: 0, onError: ({ error }) => errors.push(error) });
  let text = "";
  try {
    for await (const piece of result.textStream) text += piece;
  } catch (error) {
    errors.push(error);
  }
  return { text, errors: errors.length };
}

async function errors(model) {
  say("retried", { text: (await generateText({ model, prompt: ASK, maxRetries: 2 })).text });
  await fails("refused", () => generateText({ model, prompt: ASK }));
  await fails("unknown key", () => generateText({ model, prompt: ASK }));
  // How much of it is shown depends on which is read first, the text or the end of the connection.
  say("cut", { failed: (await streamed(model)).errors > 0 });
}

async function agent(model) {
  const bash = tool({
    description: TOOL_ABOUT,
    inputSchema: jsonSchema(SCHEMA),
    execute: async ({ command }) => run(command),
  });
  const result = await generateText({
    model,
    system: RULES,
    prompt: TASK,
    tools: { [TOOL]: bash },
    stopWhen: stepCountIs(TURNS_MAX),
  });
  for (const step of result.steps) {
    say("agent", { text: step.text, why: step.finishReason, calls: step.toolCalls.map((call) => call.input) });
  }
}

await errors(models.messages);
for (const [what, model] of Object.entries(models)) {
  const plain = await generateText({ model, prompt: ASK });
  say(what, { text: plain.text, why: plain.finishReason, usage: plain.usage });
  say(`${what} stream`, await streamed(model));
  await agent(model);
}
const made = await embedMany({ model: openai.embedding("text-embedding-3-small"), values: ["a", "b"] });
say("embeddings", { lengths: made.embeddings.map((entry) => entry.length) });
await atOnce(...Object.values(models).slice(0, 2).map((model) => async () => (await streamed(model)).text));
