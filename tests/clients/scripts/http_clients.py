"""Python's HTTP clients without a provider's library: urllib, requests, httpx."""

import json
import os
import re
import urllib.request

import httpx
import requests

from transcript import ASK, say

URL = os.environ["TOKENPAK_TEST_URL"] + "/v1/chat/completions"
HEADERS = {"content-type": "application/json", "authorization": "Bearer " + os.environ["OPENAI_API_KEY"]}


def body(stream):
    return json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": ASK}], "stream": stream}).encode()


def texts(answer):
    return "".join(json.loads(f'"{text}"') for text in re.findall(r'"content": ?"([^"]*)"', answer))


def pieces(stream):
    # No length is known of an upload in pieces.
    data = body(stream)
    yield data[:20]
    yield data[20:]


for stream in (False, True):
    with urllib.request.urlopen(urllib.request.Request(URL, body(stream), HEADERS)) as answer:
        say("urllib", status=answer.status, text=texts(answer.read().decode()))
    session = requests.Session()
    answer = session.post(URL, data=body(stream), headers=HEADERS, stream=stream)
    say("requests", status=answer.status_code, text=texts("\n".join(answer.iter_lines(decode_unicode=True))))
    answer = session.post(URL, data=pieces(stream), headers=HEADERS)
    say("requests in pieces", status=answer.status_code, text=texts(answer.text))
    with httpx.stream("POST", URL, content=body(stream), headers=HEADERS) as answer:
        say("httpx", status=answer.status_code, text=texts("".join(answer.iter_text())))
