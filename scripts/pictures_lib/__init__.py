"""Pictures for the README: luci as it is, in pseudo-terminals, over a server on the loopback; and its page.

__main__.py   the options
scenes.py     what is done in each picture
ground.py     a home, a catalog and a server; luci started there
screen.py     what a terminal shows of the bytes it got
svg.py        screens as an SVG
page.py       the page of `luci serve`, in a browser
"""
