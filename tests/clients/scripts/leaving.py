"""The Anthropic library where it does not wait for the end: timeouts, streams left early, tasks that are
cancelled."""

import asyncio

import anthropic

from transcript import ASK, say

# Long for a loaded machine; nothing answers before it.
SECONDS = 4.0

BASE = {"model": "claude-sonnet-4-5", "max_tokens": 1024, "messages": [{"role": "user", "content": ASK}]}
client = anthropic.Anthropic(max_retries=2)


def timeout():
    answer = client.with_options(timeout=SECONDS).messages.create(**BASE)
    say("timed out and retried", text=answer.content[0].text)


def leave():
    with client.messages.stream(**BASE) as stream:
        first = next(iter(stream.text_stream))
    say("left early", first=first)
    say("after that", text=client.messages.create(**BASE).content[0].text)


async def cancel():
    client = anthropic.AsyncAnthropic(max_retries=0)
    begun = asyncio.Event()

    async def read():
        async with client.messages.stream(**BASE) as stream:
            async for _ in stream.text_stream:
                begun.set()

    task = asyncio.create_task(read())
    await begun.wait()
    task.cancel()
    ended = await asyncio.gather(task, return_exceptions=True)
    say("cancelled", ended=type(ended[0]).__name__)
    answer = await client.messages.create(**BASE)
    say("after that", text=answer.content[0].text)


timeout()
leave()
asyncio.run(cancel())
