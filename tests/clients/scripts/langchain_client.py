"""LangChain's chat models of OpenAI and Anthropic."""

import asyncio

from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

from transcript import ASK, RULES, SCHEMA, TASK, TOOL, TOOL_ABOUT, TURNS_MAX, fails, run, say

MODELS = {
    "chat": ChatOpenAI(model="gpt-4o", max_retries=2),
    "responses": ChatOpenAI(model="gpt-5", use_responses_api=True, max_retries=2),
    "messages": ChatAnthropic(model="claude-sonnet-4-5", max_tokens=1024, max_retries=2),
}


def agent(model):
    tool = {"title": TOOL, "description": TOOL_ABOUT, **SCHEMA}
    model = model.bind_tools([tool])
    history = [SystemMessage(RULES), HumanMessage(TASK)]
    for _ in range(TURNS_MAX):
        answer = model.invoke(history)
        history.append(answer)
        say("agent", text=answer.text, calls=[call["args"] for call in answer.tool_calls])
        for call in answer.tool_calls:
            history.append(ToolMessage(run(call["args"]["command"]), tool_call_id=call["id"]))
        if not answer.tool_calls:
            break


async def at_once():
    async def plain(model):
        return (await model.ainvoke(ASK)).text

    async def stream(model):
        return "".join([piece.text async for piece in model.astream(ASK)])

    works = [work(model) for _ in range(4) for model in (MODELS["chat"], MODELS["messages"]) for work in (plain, stream)]
    say("at once", texts=await asyncio.gather(*works))


say("retried", text=MODELS["chat"].invoke(ASK).text)
fails("refused", lambda: MODELS["chat"].invoke(ASK), Exception)
fails("unknown key", lambda: MODELS["chat"].invoke(ASK), Exception)
fails("cut", lambda: list(MODELS["chat"].stream(ASK)), Exception)
for what, model in MODELS.items():
    plain = model.invoke(ASK)
    say(what, text=plain.text, usage=plain.usage_metadata)
    pieces = list(model.stream(ASK))
    say(f"{what} stream", text="".join(piece.text for piece in pieces))
    agent(model)
made = OpenAIEmbeddings(model="text-embedding-3-small", check_embedding_ctx_length=False).embed_documents(["a", "b"])
say("embeddings", lengths=[len(entry) for entry in made])
asyncio.run(at_once())
