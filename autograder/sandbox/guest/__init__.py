"""What runs beside students' code: it knows no judge and no homework's checks."""
