"""Processes that compute what they are asked for over a pipe, each in an environment of its own.

A worker imports nothing of bertcore but what it measures, so that it runs where bertcore is not installed.
"""
