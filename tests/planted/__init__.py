"""The test of the tests: known bugs, most of them those of other chat bots, planted into Magpie one at a time. Each must be
found.

`bug` says what one is and plants it; the bugs stand in `receiving`, `answering`, `showing`, `spending`, `workers` and
`guarding`. `python -m tests.planted` (or `make plant`) plants them all and prints who found what; `plugin` plants one into a
run of pytest, `program` into a process of Magpie.
"""
