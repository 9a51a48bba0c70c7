import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, cast

import pytest
from langchain_core.runnables import RunnableConfig

from graph_demo import pipeline
from tests.graph_demo.conftest import Bind

TEXT = "The cat saw the dog. The dog didn't see it."


async def test_progress_comes_in_order(bind: Bind, thread: RunnableConfig) -> None:
    stream = bind(pipeline.build()).astream({"text": TEXT}, thread, stream_mode="custom")
    events = [event async for event in stream]
    assert [(event["step"], event["progress"]) for event in events] == [
        ("prepare", 10),
        ("process", 40),
        ("generate", 70),
        ("generate", 100),
    ]
    assert events[1]["message"] == "Counting 10 words"


async def test_the_report_says_what_was_counted() -> None:
    result = await pipeline.build().ainvoke({"text": TEXT})
    assert result["statistics"] == {
        "words": 10,
        "distinct_words": 7,
        "average_length": 3.2,
        "most_common": [
            {"word": "the", "times": 3},
            {"word": "dog", "times": 2},
            {"word": "cat", "times": 1},
        ],
    }
    assert result["report"] == ("10 words, 7 distinct, 3.2 letters on average. Most common: the (3), dog (2), cat (1).")


async def test_a_text_without_words_is_no_error() -> None:
    assert (await pipeline.build().ainvoke({"text": "1, 2!"}))["report"] == "The text has no words."


async def test_a_delayed_step_announces_itself_before_it_waits() -> None:
    stream = pipeline.build().astream({"text": TEXT, "delay": 60}, stream_mode="custom")
    async with aclosing(cast(AsyncGenerator[dict[str, Any], None], stream)) as events:
        assert (await anext(events))["step"] == "prepare"


async def test_a_delayed_pipeline_can_be_cancelled() -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(pipeline.build().ainvoke({"text": TEXT, "delay": 60}), timeout=0.05)
