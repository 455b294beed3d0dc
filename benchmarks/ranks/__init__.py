"""Several processes that train one run: how much faster they are, and what ends well."""
