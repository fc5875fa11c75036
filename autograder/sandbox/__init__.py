"""The sandbox: what both sides know. `host` is trusted, `guest` runs beside students' code, `confine` holds it."""
