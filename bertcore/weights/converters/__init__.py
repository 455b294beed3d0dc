"""Weight converters that bertcore brings; none of them needs a framework."""
