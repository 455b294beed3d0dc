"""Thin entry points of the plugins that bertcore itself brings; they go through the same manager as any other."""
