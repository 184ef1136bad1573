# What a node of Locum may do in Vault or OpenBao on which a window of enrolment is open (`[listener.enrolment]`), in addition to
# locum-node.hcl: make clients and accounts, and give a client or an account that has no secret its first. Whoever takes over such
# a node can replace what clients and accounts are made of: grant it to the nodes of the window, for as long as it is open, and
# take it away when it closes. `locum` is the mount.

# Every write is a compare-and-set, to which creating and updating are two things.
path "locum/data/clients/+" {
  capabilities = ["create", "read", "update"]
}
path "locum/data/accounts/+" {
  capabilities = ["create", "read", "update"]
}

# A client that is made here is known to the other nodes at once, and not only when they look again by themselves.
path "locum/data/changes/+" {
  capabilities = ["create", "read", "update"]
}
