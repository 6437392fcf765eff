"""Models from one models folder to another, and to a bucket.

carry    the files of one model, under the locks of the new place: all or none
move     carried, then removed from the old place
sums     the file SHA256SUMS
stick    which models can be imported from a folder
push     to a bucket
trips    several models: the room for all before the first byte, then one after the other
"""
