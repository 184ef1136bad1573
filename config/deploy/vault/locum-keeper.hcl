# What a node of Locum may do in Vault or OpenBao that looks after credentials by itself (`keeper = true` in [rotation]), in
# addition to locum-node.hcl: list accounts and domains, and write them, so that a credential which the provider refuses can be
# rolled back, and one that is used no more be retired. Whoever takes over such a node can replace credentials: grant it to one
# node, and to none that strangers reach. `locum` is the mount.

# Every write is a compare-and-set; what is not there is not made.
path "locum/data/accounts/+" {
  capabilities = ["read", "update"]
}
path "locum/data/tenants/+" {
  capabilities = ["read", "update"]
}

# Which accounts and domains there are, to look through them.
path "locum/metadata/accounts" {
  capabilities = ["list"]
}
path "locum/metadata/tenants" {
  capabilities = ["list"]
}

# What nodes tell of who still uses a credential: one that is in use is not retired.
path "locum/metadata/usage" {
  capabilities = ["list"]
}
path "locum/data/usage/+" {
  capabilities = ["read"]
}

# A write that no node hears of is in use only when the nodes look again by themselves.
path "locum/data/changes/+" {
  capabilities = ["create", "read", "update"]
}
