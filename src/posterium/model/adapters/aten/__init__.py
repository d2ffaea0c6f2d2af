"""ATen: PyTorch's operators in JAX, by topic; `graph` walks over a program made of them."""
