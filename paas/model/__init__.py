"""The words of `paas`: frozen values and nothing that acts. Nothing here imports a library or touches the world."""
