"""Record the attention of a model: model and inputs in, `Record` out. The only package that imports transformers, beside `pocket`."""
