#!/usr/bin/env python3
"""Asks through the proxy at PORT with the official libraries, and prints what they made of the
answers: tests/tools/sdk.py PORT. Needs the packages openai and anthropic. A fault ends it."""

import sys

import anthropic
import openai

BASE = f"http://127.0.0.1:{sys.argv[1]}"
ASK = [{"role": "user", "content": "Say hello."}]


def chat(client):
    plain = client.chat.completions.create(model="gpt-4o", messages=ASK)
    assert plain.choices[0].finish_reason == "stop" and plain.usage.prompt_tokens > 0
    yield "chat plain", plain.choices[0].message.content
    for options in ({}, {"stream_options": {"include_usage": True}}):
        text, reasons, usage = "", [], None
        for chunk in client.chat.completions.create(model="gpt-4o", messages=ASK, stream=True, **options):
            for choice in chunk.choices:
                text += choice.delta.content or ""
                reasons.append(choice.finish_reason)
            usage = chunk.usage or usage
        assert reasons[-1] == "stop" and reasons.count("stop") == 1, reasons
        assert bool(usage) == bool(options), "usage is for those who asked"
        yield "chat stream", text
    with client.chat.completions.stream(model="gpt-4o", messages=ASK) as stream:
        stream.until_done()
        yield "chat helper", stream.get_final_completion().choices[0].message.content


def messages(client):
    ask = {"model": "claude-sonnet-4-5", "max_tokens": 1024, "messages": ASK}
    plain = client.messages.create(**ask)
    assert plain.stop_reason == "end_turn" and plain.usage.output_tokens > 0
    yield "messages plain", "".join(block.text for block in plain.content)
    with client.messages.stream(**ask) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert final.stop_reason == "end_turn" and final.usage.output_tokens > 0
    assert text == "".join(block.text for block in final.content)
    assert "TokenPak" not in final.content[0].text, "the first block stays clean"
    yield "messages stream", text
    # What the library keeps is what it sends back.
    history = [*ASK, {"role": "assistant", "content": final.content}, *ASK]
    again = client.messages.create(**{**ask, "messages": history})
    yield "messages again", "".join(block.text for block in again.content)
    kinds = [event.type for event in client.messages.create(**ask, stream=True)]
    assert kinds[-2:] == ["message_delta", "message_stop"], kinds


def main():
    clients = [
        chat(openai.OpenAI(base_url=BASE + "/v1", api_key="sk-dummy", max_retries=0)),
        messages(anthropic.Anthropic(base_url=BASE, api_key="sk-ant-dummy", max_retries=0)),
    ]
    for client in clients:
        for name, text in client:
            words, _, footer = text.rpartition("\n\n")
            assert words and footer.startswith("[TokenPak: ") and footer.endswith("]"), text
            assert words.count("TokenPak") == 0, text
            print(f"{name}: {footer}")


if __name__ == "__main__":
    main()
