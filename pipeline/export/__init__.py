"""What leaves the project for other people's tools: single samples in files, the stack as ONNX.

What may not live here: scores, drawing, MLflow.
"""
