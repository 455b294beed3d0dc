"""GLUE: Wang et al. 2018, arXiv 1804.07461."""
