"""Cards in Markdown that go with a published set or model, under a head as Hugging Face's Hub reads it."""
