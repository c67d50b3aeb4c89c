"""The chart on a real Kubernetes control plane, and its pods' commands as processes of this machine.

    python -m tests.cluster

No container runs. tools.py builds the programs, control_plane.py runs them, kubelet.py is what starts a
pod's command. variants.py: each variant through a release's life, with pods that kwok only says are there;
carrying.py: a release whose pods are processes, which carry images while all of them are restarted.
"""
