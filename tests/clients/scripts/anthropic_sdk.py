"""The Anthropic library for Python."""

import asyncio

import anthropic

from transcript import ASK, RULES, SCHEMA, TASK, TOOL, TOOL_ABOUT, TURNS_MAX, fails, run, say

client = anthropic.Anthropic(max_retries=2)
MESSAGES = [{"role": "user", "content": ASK}]
BASE = {"model": "claude-sonnet-4-5", "max_tokens": 1024, "messages": MESSAGES}


def text_of(message):
    return "".join(block.text for block in message.content if block.type == "text")


def errors():
    say("retried", text=text_of(client.messages.create(**BASE)))
    fails("refused", lambda: client.messages.create(**BASE), anthropic.BadRequestError)
    fails("unknown key", lambda: client.messages.create(**BASE), anthropic.AuthenticationError)
    text = []

    def cut():
        with client.messages.stream(**BASE) as stream:
            text.extend(stream.text_stream)

    fails("cut", cut, Exception)
    say("before the cut", text="".join(text))


def messages():
    plain = client.messages.create(**BASE)
    say("messages", text=text_of(plain), why=plain.stop_reason, usage=plain.usage.to_dict())
    with client.messages.stream(**BASE) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == text_of(final)
    assert "TokenPak" not in final.content[0].text, "the first block stays clean"
    say("messages stream", text=text, why=final.stop_reason, usage=final.usage.to_dict())
    # What the library keeps is what it sends back.
    history = [*MESSAGES, {"role": "assistant", "content": final.content}, *MESSAGES]
    say("messages again", text=text_of(client.messages.create(**{**BASE, "messages": history})))
    kinds = [event.type for event in client.messages.create(**BASE, stream=True)]
    assert kinds[-2:] == ["message_delta", "message_stop"], kinds


def others():
    say("models", ids=[model.id for model in client.models.list()])
    counted = client.messages.count_tokens(model="claude-sonnet-4-5", messages=MESSAGES)
    say("count_tokens", tokens=counted.input_tokens)


def agent():
    tool = {"name": TOOL, "description": TOOL_ABOUT, "input_schema": SCHEMA}
    mark = {"type": "ephemeral"}
    system = [{"type": "text", "text": RULES, "cache_control": mark}]
    history = [{"role": "user", "content": TASK}]
    for _ in range(TURNS_MAX):
        with client.messages.stream(model="claude-sonnet-4-5", max_tokens=8000, system=system, tools=[tool],
                                    thinking={"type": "enabled", "budget_tokens": 2000},
                                    messages=history) as stream:
            answer = stream.get_final_message()
        history.append({"role": "assistant", "content": answer.content})
        calls = [block for block in answer.content if block.type == "tool_use"]
        thoughts = [block.thinking for block in answer.content if block.type == "thinking"]
        say("agent", text=text_of(answer), thoughts=thoughts, calls=[call.input for call in calls])
        if not calls:
            break
        results = [{"type": "tool_result", "tool_use_id": call.id, "content": run(call.input["command"])}
                   for call in calls]
        for message in history:
            if message["role"] == "user" and isinstance(message["content"], list):
                message["content"][-1].pop("cache_control", None)
        history.append({"role": "user", "content": [*results[:-1], {**results[-1], "cache_control": mark}]})


async def at_once():
    client = anthropic.AsyncAnthropic(max_retries=0)

    async def stream():
        async with client.messages.stream(**BASE) as stream:
            return "".join([text async for text in stream.text_stream])

    async def plain():
        return text_of(await client.messages.create(**BASE))

    texts = await asyncio.gather(*[work() for _ in range(8) for work in (stream, plain)])
    say("at once", texts=texts)


errors()
messages()
others()
agent()
asyncio.run(at_once())
