"""What only this homework's audit needs: its attacks, its equivalent mutants, how its thresholds were measured."""
