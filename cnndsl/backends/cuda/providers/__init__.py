"""Libraries beside our own kernels: cuDNN and cuBLASLt, behind one small interface."""
