"""Bytes to hashes.

``algorithms`` and ``digests`` are light and safe to import anywhere; ``conformance`` checks the kernels on ``patterns``
that it draws itself. Everything else here touches the insides of
strangers' files and is imported only in a confined worker: ``layout`` reads containers without decoding, ``gates``
decides what may be decoded, ``mend`` completes what was cut short, ``image`` decodes, ``modes`` turns every colour mode
into the picture a person sees, ``compute`` hashes.
"""
