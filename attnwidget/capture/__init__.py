"""Model and inputs in, `Record` out; the only package that imports transformers, beside `pocket`."""
