"""Machine code from LLVM: kernels written by Python, run by threads of their own."""
