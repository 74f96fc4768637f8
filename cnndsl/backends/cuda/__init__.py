"""The CUDA backend: kernels as text, compiled for an NVIDIA GPU or run by an emulator of one."""
