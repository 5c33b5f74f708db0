"""The compiled inner loops of the arithmetic: plain loops over float64 columns that LLVM turns into vector code.

Nothing here is imported when `models.quant` is: the functions above import a kernel when they first need it, and
`models.quant.warming` does so at a process's start. Each kernel has one signature and is kept compiled on disk.
"""
