"""Files in stores: codecs, references, atomic writes."""
