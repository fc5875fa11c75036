"""What people see: results.json, the terminal's table, HTML pages."""
