"""What users can ask for, one module a resource: each function is one transaction's worth of work.

A write checks the command against what is stored, writes what is desired, raises the generation of the load
balancer and accepts the job, all in the transaction that it is given.
"""
