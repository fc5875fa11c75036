"""The wall between the judge and students' code: zygote, workers, confinement, wire and canary."""
