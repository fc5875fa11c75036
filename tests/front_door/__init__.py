"""Tests of front_door."""
