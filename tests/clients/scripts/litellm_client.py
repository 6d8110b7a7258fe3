"""LiteLLM as a library: one call for every provider."""

import asyncio
import json

import litellm

from transcript import ASK, RULES, SCHEMA, TASK, TOOL, TOOL_ABOUT, TURNS_MAX, fails, run, say

MESSAGES = [{"role": "user", "content": ASK}]
MODELS = ["openai/gpt-4o", "anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-pro"]


def text_of(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def agent(model):
    tool = {"type": "function", "function": {"name": TOOL, "description": TOOL_ABOUT, "parameters": SCHEMA}}
    history = [{"role": "system", "content": RULES}, {"role": "user", "content": TASK}]
    for _ in range(TURNS_MAX):
        answer = litellm.completion(model, history, tools=[tool]).choices[0].message
        history.append(answer)
        calls = answer.tool_calls or []
        say("agent", text=answer.content, calls=[call.function.arguments for call in calls])
        for call in calls:
            result = run(json.loads(call.function.arguments)["command"])
            history.append({"role": "tool", "tool_call_id": call.id, "name": TOOL, "content": result})
        if not calls:
            break


async def at_once():
    async def plain(model):
        return (await litellm.acompletion(model, MESSAGES)).choices[0].message.content

    async def stream(model):
        return text_of([chunk async for chunk in await litellm.acompletion(model, MESSAGES, stream=True)])

    works = [work(model) for _ in range(4) for model in MODELS[:2] for work in (plain, stream)]
    say("at once", texts=await asyncio.gather(*works))


say("retried", text=litellm.completion(MODELS[0], MESSAGES, num_retries=2).choices[0].message.content)
fails("refused", lambda: litellm.completion(MODELS[0], MESSAGES), litellm.BadRequestError)
fails("unknown key", lambda: litellm.completion(MODELS[0], MESSAGES), litellm.AuthenticationError)
fails("cut", lambda: list(litellm.completion(MODELS[0], MESSAGES, stream=True)), Exception)
for model in MODELS:
    plain = litellm.completion(model, MESSAGES)
    say(model, text=plain.choices[0].message.content, why=plain.choices[0].finish_reason,
        tokens=[plain.usage.prompt_tokens, plain.usage.completion_tokens])
    say(f"{model} stream", text=text_of(litellm.completion(model, MESSAGES, stream=True)))
    agent(model)
say("responses", text=litellm.responses(ASK, "openai/gpt-5").output[0].content[0].text)
made = litellm.embedding("openai/text-embedding-3-small", ["a", "b"])
say("embeddings", lengths=[len(entry["embedding"]) for entry in made.data])
asyncio.run(at_once())
