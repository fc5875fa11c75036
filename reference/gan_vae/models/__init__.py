"""The two generative models, and the networks that they are made of."""
