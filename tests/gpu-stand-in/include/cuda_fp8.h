// See kernel.h, which is included before all else.
