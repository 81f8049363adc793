"""The numbers of `paas`, each printed beside a baseline taken in the same run. `make bench` runs them all."""
