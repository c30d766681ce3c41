"""Words: the prompt templates, and the phrases that describe garments."""
