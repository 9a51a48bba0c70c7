from graph_demo import plain


async def test_text_goes_in_and_text_comes_out() -> None:
    result = await plain.build().ainvoke({"text": "  hello   world "})
    assert result == {"text": "hello world", "output": "You wrote: hello world"}
