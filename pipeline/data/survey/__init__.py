"""What lies at a source, before anything is decoded: one description for every form and place.

What may not live here: decoding, and anything that a part's key depends on. The readers beside this
package do what a `Plan` says.
"""
