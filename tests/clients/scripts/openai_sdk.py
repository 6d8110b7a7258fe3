"""The OpenAI library for Python."""

import asyncio
import json

import openai

from transcript import ASK, RULES, SCHEMA, TASK, TOOL, TOOL_ABOUT, TURNS_MAX, fails, run, say

client = openai.OpenAI(max_retries=2)
MESSAGES = [{"role": "user", "content": ASK}]
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
CHAT = {"model": "gpt-4o", "messages": MESSAGES}


def errors():
    answer = client.chat.completions.create(**CHAT)
    say("retried", text=answer.choices[0].message.content)
    fails("refused", lambda: client.chat.completions.create(**CHAT), openai.BadRequestError)
    fails("unknown key", lambda: client.responses.create(model="gpt-5", input=ASK), openai.AuthenticationError)
    text = []

    def cut():
        for chunk in client.chat.completions.create(**CHAT, stream=True):
            text.extend(choice.delta.content or "" for choice in chunk.choices)

    fails("cut", cut, Exception)
    say("before the cut", text="".join(text))


def chats():
    plain = client.chat.completions.create(**CHAT)
    say("chat", text=plain.choices[0].message.content, why=plain.choices[0].finish_reason,
        usage=plain.usage.to_dict())
    for options in ({}, {"stream_options": {"include_usage": True}}):
        text, reasons, usage = "", [], None
        for chunk in client.chat.completions.create(**CHAT, stream=True, **options):
            for choice in chunk.choices:
                text += choice.delta.content or ""
                reasons.append(choice.finish_reason)
            usage = chunk.usage or usage
        assert reasons[-1] == "stop" and reasons.count("stop") == 1, reasons
        assert bool(usage) == bool(options), "usage is for those who asked"
        say("chat stream", text=text, usage=usage and usage.to_dict())
    with client.chat.completions.stream(**CHAT) as stream:
        stream.until_done()
        say("chat helper", text=stream.get_final_completion().choices[0].message.content)
    # What the library keeps is what it sends back.
    history = [*MESSAGES, plain.choices[0].message, *MESSAGES]
    again = client.chat.completions.create(model="gpt-4o", messages=history)
    say("chat again", text=again.choices[0].message.content)


def responses():
    plain = client.responses.create(model="gpt-5", input=ASK)
    say("responses", text=plain.output_text, status=plain.status, usage=plain.usage.to_dict())
    kinds = []
    with client.responses.stream(model="gpt-5", input=ASK) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    say("responses stream", text=final.output_text, kinds=kinds, usage=final.usage.to_dict())


def rare():
    """What a proxy could trip over: pictures, JSON that a program reads, several choices, an upload."""
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}}
    asked = [{"role": "user", "content": [{"type": "text", "text": ASK}, picture]}]
    answer = client.chat.completions.create(model="gpt-4o", messages=asked)
    say("picture", text=answer.choices[0].message.content)
    for what, options in (("json", {"response_format": {"type": "json_object"}}), ("choices", {"n": 2}),
                          ("stop", {"stop": ["END"]}), ("short", {"max_tokens": 8})):
        answer = client.chat.completions.create(**CHAT, **options)
        say(what, texts=[choice.message.content for choice in answer.choices])
    # The stand-in returns what it was sent, in which only the boundary is made up.
    echo = client.files.with_raw_response.create(file=("notes.txt", b"a\r\n\0\xff" * 5000), purpose="user_data")
    say("upload", status=echo.status_code, bytes=len(echo.content))


def others():
    say("models", ids=[model.id for model in client.models.list()])
    made = client.embeddings.create(model="text-embedding-3-small", input=["a", "b"])
    say("embeddings", lengths=[len(entry.embedding) for entry in made.data], usage=made.usage.to_dict())


def chat_agent():
    tool = {"type": "function", "function": {"name": TOOL, "description": TOOL_ABOUT, "parameters": SCHEMA}}
    messages = [{"role": "system", "content": RULES}, {"role": "user", "content": TASK}]
    for _ in range(TURNS_MAX):
        with client.chat.completions.stream(model="gpt-4o", messages=messages, tools=[tool]) as stream:
            answer = stream.get_final_completion().choices[0].message
        messages.append(answer)
        calls = answer.tool_calls or []
        say("chat agent", text=answer.content, calls=[call.function.arguments for call in calls])
        for call in calls:
            result = run(json.loads(call.function.arguments)["command"])
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
        if not calls:
            break


def responses_agent():
    tool = {"type": "function", "name": TOOL, "description": TOOL_ABOUT, "parameters": SCHEMA, "strict": False}
    items = [{"role": "user", "content": TASK}]
    for _ in range(TURNS_MAX):
        answer = client.responses.create(model="gpt-5", input=items, tools=[tool], instructions=RULES, store=False)
        items += answer.output
        calls = [item for item in answer.output if item.type == "function_call"]
        say("responses agent", text=answer.output_text, calls=[call.arguments for call in calls])
        for call in calls:
            result = run(json.loads(call.arguments)["command"])
            items.append({"type": "function_call_output", "call_id": call.call_id, "output": result})
        if not calls:
            break


async def at_once():
    client = openai.AsyncOpenAI(max_retries=0)

    async def stream():
        chunks = [chunk async for chunk in await client.chat.completions.create(**CHAT, stream=True)]
        return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)

    async def plain():
        return (await client.responses.create(model="gpt-5", input=ASK)).output_text

    texts = await asyncio.gather(*[work() for _ in range(8) for work in (stream, plain)])
    say("at once", texts=texts)


errors()
chats()
responses()
rare()
others()
chat_agent()
responses_agent()
asyncio.run(at_once())
