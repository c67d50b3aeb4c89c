"""Faults against a running Trapline, and proof that nothing was lost, doubled or torn.

    python -m tests.chaos --seed 7 --minutes 10

Read schedule.py first (what happens, a pure function of the seed), then round.py (one system's life, fault
by fault), process_faults.py and its neighbours (what each does, and how it proves that it took effect),
explained.py (what each may cost), judge.py.
"""
