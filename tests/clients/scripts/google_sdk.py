"""The Google library for Python."""

import asyncio

from google import genai
from google.genai import errors, types

from transcript import ASK, RULES, SCHEMA, TASK, TOOL, TOOL_ABOUT, TURNS_MAX, fails, run, say

RETRY = types.HttpRetryOptions(attempts=3, initial_delay=0.1, max_delay=0.2, http_status_codes=[429, 500, 503])
client = genai.Client(http_options=types.HttpOptions(retry_options=RETRY))
MODEL = "gemini-2.5-pro"


def usage(answer):
    return answer.usage_metadata.model_dump(exclude_none=True, mode="json")


def refusals():
    say("retried", text=client.models.generate_content(model=MODEL, contents=ASK).text)
    for what in ("refused", "unknown key"):
        fails(what, lambda: client.models.generate_content(model=MODEL, contents=ASK), errors.APIError)
    text = []

    def cut():
        for piece in client.models.generate_content_stream(model=MODEL, contents=ASK):
            text.append(piece.text or "")

    fails("cut", cut, Exception)
    say("before the cut", text="".join(text))


def contents():
    plain = client.models.generate_content(model=MODEL, contents=ASK)
    say("generate", text=plain.text, why=plain.candidates[0].finish_reason.name, usage=usage(plain))
    pieces = list(client.models.generate_content_stream(model=MODEL, contents=ASK))
    say("stream", text="".join(piece.text or "" for piece in pieces), usage=usage(pieces[-1]))
    chat = client.chats.create(model=MODEL)
    say("chat", texts=[chat.send_message(ASK).text, chat.send_message(ASK).text])


def others():
    say("models", names=[model.name for model in client.models.list()])
    say("one model", name=client.models.get(model=MODEL).name)
    say("count_tokens", tokens=client.models.count_tokens(model=MODEL, contents=ASK).total_tokens)
    made = client.models.embed_content(model="gemini-embedding-001", contents=["a", "b"])
    say("embeddings", lengths=[len(entry.values) for entry in made.embeddings])


def agent():
    declared = types.FunctionDeclaration(name=TOOL, description=TOOL_ABOUT, parameters_json_schema=SCHEMA)
    config = types.GenerateContentConfig(
        system_instruction=RULES,
        tools=[types.Tool(function_declarations=[declared])],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )
    history = [types.Content(role="user", parts=[types.Part.from_text(text=TASK)])]
    for _ in range(TURNS_MAX):
        answer = client.models.generate_content(model=MODEL, contents=history, config=config)
        history.append(answer.candidates[0].content)
        calls = answer.function_calls or []
        texts = [part.text for part in answer.candidates[0].content.parts if part.text]
        say("agent", texts=texts, calls=[call.args for call in calls])
        if not calls:
            break
        results = [types.Part.from_function_response(name=call.name, response={"output": run(call.args["command"])})
                   for call in calls]
        history.append(types.Content(role="user", parts=results))


async def at_once():
    async def stream():
        pieces = await client.aio.models.generate_content_stream(model=MODEL, contents=ASK)
        return "".join([piece.text or "" async for piece in pieces])

    async def plain():
        return (await client.aio.models.generate_content(model=MODEL, contents=ASK)).text

    texts = await asyncio.gather(*[work() for _ in range(8) for work in (stream, plain)])
    say("at once", texts=texts)


refusals()
contents()
others()
agent()
asyncio.run(at_once())
