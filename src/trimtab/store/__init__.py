"""Durable sessions: SQL databases, and Parquet, CSV and JSONL files in and out."""
