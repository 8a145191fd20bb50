"""r1-nano: the data, the tokenizer, the training and the evaluation of the embedded model."""
