"""params.yaml to checked settings, and conf/ to params.yaml.

What may not live here: anything that reads an image, trains or draws. Each section is a frozen
dataclass; the method's own are in `sgan.config`.
"""
