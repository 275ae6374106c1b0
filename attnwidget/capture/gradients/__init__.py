"""The gradient of a number with regard to what each attention call puts out, beside the vectors that are recorded."""
