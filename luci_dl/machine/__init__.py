"""What this machine can run.

memory    main memory: of the system, or what a control group leaves of it
graphics  the memory of graphics cards
fit       whether a model fits, and with which numbers
"""
