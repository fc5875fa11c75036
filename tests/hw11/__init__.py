"""Tests of hw11."""
